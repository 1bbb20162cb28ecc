using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.RelMap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>Makes the access methods' view of relations and indexes from rows of pg_class, pg_attribute and pg_index (PostgreSQL's relcache.c).</summary>
internal static class RelationBuilder
{
    public static Relation Build(CatalogView view, PgClass row)
    {
        Relation? toast = row.RelToastRelId.IsValid ? view.FindRelation(row.RelToastRelId) : null;
        return new Relation
        {
            Id = row.Oid,
            Name = row.RelName,
            Namespace = row.RelNamespace,
            Node = NodeOf(view, row),
            Desc = new TupleDesc([.. view.GetAttributes(row.Oid).Select(MakeAttribute)]),
            Kind = row.RelKind,
            Persistence = row.RelPersistence,
            FillFactor = IntegerOption(row.RelOptions, "fillfactor", row.RelKind is 'i' or 'I' ? 90 : 100),
            ToastRelation = row.RelToastRelId,
            Toast = toast,
            ToastIndex = toast is null ? null : view.GetIndexes(toast.Id).FirstOrDefault(i => i.IsValid),
            AccessMethod = row.RelAm,
            Owner = row.RelOwner,
            RowType = row.RelType,
        };
    }

    public static IndexInfo BuildIndex(CatalogView view, PgClass row, PgIndex index)
    {
        Relation relation = view.GetRelation(row.Oid);
        var columns = new IndexColumn[index.IndNAtts];
        bool equalImages = true;
        for (int i = 0; i < columns.Length; i++)
        {
            TupleAttribute attribute = relation.Desc[i];
            columns[i] = i < index.IndNKeyAtts
                ? MakeKeyColumn(view, row, index, i, attribute)
                : new IndexColumn { HeapAttribute = index.IndKey[i], Attribute = attribute, InputType = attribute.TypeId };
            equalImages &= columns[i].EqualImage;
        }

        return new IndexInfo
        {
            Relation = relation,
            TableId = index.IndRelId,
            Columns = columns,
            KeyCount = index.IndNKeyAtts,
            IsUnique = index.IndIsUnique,
            NullsNotDistinct = index.IndNullsNotDistinct,
            IsPrimary = index.IndIsPrimary,
            IsImmediate = index.IndImmediate,
            IsValid = index.IndIsValid,
            IsReady = index.IndIsReady,
            DeduplicateItems = BooleanOption(row.RelOptions, "deduplicate_items", true),
            AccessMethod = row.RelAm,
            HasExpressions = index.IndExprs is not null,
            HasPredicate = index.IndPred is not null,
        };
    }

    /// <summary>Where the files are; views and the like have none (file number 0).</summary>
    public static RelFileNode NodeOf(CatalogView view, PgClass row)
    {
        Oid database = row.RelIsShared ? Oid.Invalid : view.Database.Id;
        Oid tablespace = row.RelIsShared ? RelFileNode.GlobalTablespace : row.RelTablespace.IsValid ? row.RelTablespace : view.Database.Tablespace;
        Oid file = row.RelFileNode;
        if (!file.IsValid && row.RelKind is 'r' or 'i' or 't')
        {
            RelationMapFile map = view.Database.Manager.Maps.Get(database, view.Database.Tablespace);
            file = map.Find(row.Oid);
        }

        var node = new RelFileNode(tablespace, database, file);
        if (row.RelPersistence == 'u')
        {
            view.Database.Manager.Unlogged?.Add(node);
        }

        return node;
    }

    public static TupleAttribute MakeAttribute(PgAttribute a) => new()
    {
        Name = a.AttName,
        Number = a.AttNum,
        TypeId = a.AttTypId,
        Length = a.AttLen,
        ByValue = a.AttByVal,
        Alignment = a.AttAlign switch { 'c' => 1, 's' => 2, 'i' => 4, _ => 8 },
        Storage = a.AttStorage,
        Compression = a.AttCompression,
        TypeModifier = a.AttTypMod,
        Collation = a.AttCollation,
        NotNull = a.AttNotNull,
        IsDropped = a.AttIsDropped,
        HasDefault = a.AttHasDef,
        Missing = a.AttHasMissing && a.AttMissingVal is { } missing ? MissingValue.Read(missing, a) : null,
        Identity = a.AttIdentity,
        Generated = a.AttGenerated,
        InheritedCount = (short)a.AttInhCount,
        IsLocal = a.AttIsLocal,
        Dimensions = (short)a.AttNDims,
    };

    private static IndexColumn MakeKeyColumn(CatalogView view, PgClass row, PgIndex index, int i, TupleAttribute attribute)
    {
        PgOpClass opClass = view.OpClassById(index.IndClass[i])
            ?? throw new StorageException(string.Create(CultureInfo.InvariantCulture, $"operator class {index.IndClass[i].Value} of index \"{row.RelName}\" is missing"));
        bool btree = opClass.OpcMethod.Value == PgOids.BtreeAm;
        short option = index.IndOption[i];
        Oid collation = index.IndCollation[i];
        return new IndexColumn
        {
            HeapAttribute = index.IndKey[i],
            Attribute = attribute,
            OperatorFamily = opClass.OpcFamily,
            OperatorClass = opClass.Oid,
            InputType = opClass.OpcInType,
            Collation = collation,
            Descending = (option & 1) != 0,
            NullsFirst = (option & 2) != 0,
            Compare = btree ? view.ComparisonOf(opClass.OpcFamily, opClass.OpcInType, opClass.OpcInType, collation) : null,
            EqualImage = btree && EqualImage(view, opClass, collation),
        };
    }

    /// <summary>Support function 4: equal values have equal bytes, always or under a deterministic collation.</summary>
    private static bool EqualImage(CatalogView view, PgOpClass opClass, Oid collation)
    {
        Oid function = view.SupportFunction(opClass.OpcFamily, opClass.OpcInType, opClass.OpcInType, 4);
        return function.IsValid && view.FunctionById(function)?.ProSrc switch
        {
            "btequalimage" => true,
            "btvarstrequalimage" => view.CollationInfo(collation)?.Deterministic ?? false,
            _ => false,
        };
    }

    internal static int IntegerOption(string[]? options, string name, int otherwise) =>
        Option(options, name) is { } v && int.TryParse(v, NumberStyles.Integer, CultureInfo.InvariantCulture, out int n) ? n : otherwise;

    internal static bool BooleanOption(string[]? options, string name, bool otherwise) => Option(options, name) switch
    {
        "true" or "on" or "1" or "yes" => true,
        "false" or "off" or "0" or "no" => false,
        _ => otherwise,
    };

    private static string? Option(string[]? options, string name)
    {
        foreach (string o in options ?? [])
        {
            if (o.Length > name.Length && o[name.Length] == '=' && o.StartsWith(name, StringComparison.Ordinal))
            {
                return o[(name.Length + 1)..];
            }
        }

        return null;
    }
}
