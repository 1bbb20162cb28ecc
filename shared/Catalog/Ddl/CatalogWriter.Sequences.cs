using SharedStorage.Access.Sequence;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>CREATE SEQUENCE and the ownership of sequences (PostgreSQL's sequence.c).</summary>
public sealed partial class CatalogWriter
{
    /// <summary>Makes a sequence; seen after return.</summary>
    /// <exception cref="PgException">42P07.</exception>
    public Oid CreateSequence(string name, Oid schema, PgSequence parameters, char persistence = 'p')
    {
        CheckNewRelationName(name, schema);
        PgType int8 = View.GetTypeRow(new Oid(PgTypes.Int8)), boolean = View.GetTypeRow(new Oid(PgTypes.Bool));
        PgAttribute[] columns =
        [
            AttributeRows.OfType(int8, "last_value", 1) with { AttNotNull = true },
            AttributeRows.OfType(int8, "log_cnt", 2) with { AttNotNull = true },
            AttributeRows.OfType(boolean, "is_called", 3) with { AttNotNull = true },
        ];
        Oid id = CreateRelation(name, schema, Oid.Invalid, 'S', columns, null, withType: false, CurrentUser, persistence);
        NextCommand();
        new SequenceTable(_engine, View.GetRelation(id)).Create(_tx, parameters.SeqStart, called: false);
        Insert(SystemCatalogs.Sequence, parameters with { SeqRelId = id });
        NextCommand();
        return id;
    }

    /// <summary>The sequence goes with the column from then on (OWNED BY).</summary>
    public void SetSequenceOwner(Oid sequence, Oid table, short column)
    {
        foreach ((PgDepend row, Tid tid) in View.Search(
            SystemCatalogs.Depend, SystemCatalogs.Depend.IndexOn("classid", "objid", "objsubid"), Datum.FromOid(SystemCatalogs.Class.Id), Datum.FromOid(sequence), Datum.FromInt32(0)))
        {
            if (row.RefClassId == SystemCatalogs.Class.Id && row.DepType == DependencyKind.Auto)
            {
                Delete(SystemCatalogs.Depend, tid, row);
            }
        }

        AddDependency(ObjectAddress.Relation(sequence), ObjectAddress.Relation(table, column), DependencyKind.Auto);
        NextCommand();
    }
}
