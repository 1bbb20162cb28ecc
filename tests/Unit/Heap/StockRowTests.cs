using System.Globalization;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Heap;

/// <summary>Rows that stock PostgreSQL stored, read and formed again: the same bytes.</summary>
public sealed class StockRowTests
{
    private const string Tables = """
        CREATE TABLE r (b bool, s int2, i int4, l int8, c "char", t text, n numeric(20, 5), f4 float4, f8 float8, nm name, u uuid, ts timestamptz, d date,
            iv interval, ch char(10), v varchar(50), arr int[], j jsonb, by bytea, o oid, t2 text, inet inet, i2 int4);
        INSERT INTO r SELECT i % 2 = 0, i, i * 7, i::bigint << 33, 'x', repeat('t', i % 200), i / 3.0, i / 7.0, i / 11.0, 'name' || i, gen_random_uuid(), now(), now(),
            i * interval '1 hour', 'c' || i, NULLIF('v' || i, 'v5'), ARRAY[i, i + 1], jsonb_build_object('k', i), decode(md5(i::text), 'hex'), i,
            CASE WHEN i % 10 = 0 THEN repeat(md5(i::text), 300) WHEN i % 10 = 1 THEN repeat('z', 3000) END, '10.0.0.1', NULLIF(i % 4, 0)
            FROM generate_series(1, 400) i;
        CHECKPOINT;
        """;

    [SkippableTheory]
    [InlineData("r")]
    [InlineData("pg_proc")]
    [InlineData("pg_attribute")]
    [InlineData("pg_class")]
    [InlineData("pg_type")]
    [InlineData("pg_statistic")]
    [InlineData("pg_rewrite")]
    public void Rows_of_PostgreSQL_are_formed_again_byte_for_byte(string table)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["autovacuum = off"]);
        server.Start();
        server.PsqlFile(Tables);
        string path = server.Psql($"SELECT pg_relation_filepath('{table}')");
        TupleDesc desc = Describe(server.Psql(
            $"SELECT attname, atttypid::int8, attlen, attbyval, attalign, attstorage FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"));
        server.Stop();
        byte[] file = File.ReadAllBytes(Path.Combine(server.DataDirectory, path));
        int rows = 0;
        for (int at = 0; at < file.Length; at += Page.Size)
        {
            var page = new Page(file.AsSpan(at, Page.Size));
            for (int item = 1; item <= page.ItemCount; item++)
            {
                if (page.Item(item).IsNormal)
                {
                    rows += Check(desc, page.ItemBytes(item)) ? 1 : 0;
                }
            }
        }

        Assert.True(rows > 20, $"{rows} rows");
    }

    private static bool Check(TupleDesc desc, Span<byte> row)
    {
        if (HeapTupleCodec.ReadHeader(row).AttributeCount != desc.Count)
        {
            return false;
        }

        var values = new Datum[desc.Count];
        HeapTupleCodec.Deform(desc, row, values);
        byte[] formed = HeapTupleCodec.Form(desc, values);
        ref readonly HeapTupleHeader stock = ref HeapTupleCodec.ReadHeader(row);
        ref readonly HeapTupleHeader ours = ref HeapTupleCodec.ReadHeader(formed);
        Assert.Equal(stock.InfoMask & ~HeapInfoMask.XactMask, ours.InfoMask);
        Assert.Equal(stock.InfoMask2 & HeapInfoMask2.AttributeCountMask, ours.InfoMask2);
        Assert.Equal(Convert.ToHexString(row[22..]), Convert.ToHexString(formed.AsSpan(22)));
        return true;
    }

    private static TupleDesc Describe(string attributes) => new([.. attributes.Split('\n').Select(line =>
    {
        string[] f = line.Split('|');
        return new TupleAttribute
        {
            Name = f[0], TypeId = new Oid(uint.Parse(f[1], CultureInfo.InvariantCulture)), Length = short.Parse(f[2], CultureInfo.InvariantCulture), ByValue = f[3] == "t",
            Alignment = f[4] switch { "c" => 1, "s" => 2, "i" => 4, _ => 8 }, Storage = f[5][0],
        };
    })]);
}
