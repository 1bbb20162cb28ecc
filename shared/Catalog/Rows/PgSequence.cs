using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_sequence: the parameters of a sequence. Properties are the columns, in order.</summary>
public sealed record PgSequence : ICatalogRow<PgSequence>
{
    public Oid SeqRelId { get; init; }
    public Oid SeqTypId { get; init; }
    public long SeqStart { get; init; }
    public long SeqIncrement { get; init; }
    public long SeqMax { get; init; }
    public long SeqMin { get; init; }
    public long SeqCache { get; init; }
    public bool SeqCycle { get; init; }

    public static PgSequence Read(ReadOnlySpan<Datum> v) => new()
    {
        SeqRelId = v[0].Oid,
        SeqTypId = v[1].Oid,
        SeqStart = v[2].Int64,
        SeqIncrement = v[3].Int64,
        SeqMax = v[4].Int64,
        SeqMin = v[5].Int64,
        SeqCache = v[6].Int64,
        SeqCycle = v[7].Bool,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(SeqRelId);
        v[1] = Datum.FromOid(SeqTypId);
        v[2] = Datum.FromInt64(SeqStart);
        v[3] = Datum.FromInt64(SeqIncrement);
        v[4] = Datum.FromInt64(SeqMax);
        v[5] = Datum.FromInt64(SeqMin);
        v[6] = Datum.FromInt64(SeqCache);
        v[7] = Datum.FromBool(SeqCycle);
    }
}
