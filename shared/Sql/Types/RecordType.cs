using System.Buffers;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>An anonymous row, as ROW(...) and whole-row references give it: written only (rowtypes.c).</summary>
public sealed class RecordType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) =>
        throw new PgException(SqlStates.FeatureNotSupported, "input of anonymous composite types is not implemented");

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        if (value.Object is not RowValue row)
        {
            throw PgException.NotSupported("a stored row as a value");
        }

        output.Write("("u8);
        for (int i = 0; i < row.Values.Length; i++)
        {
            if (i > 0)
            {
                output.Write(","u8);
            }

            if (!row.Values[i].IsNull)
            {
                Write(TypeRegistry.Get(row.Shape.Args[i].Type, context.Catalogs).OutputBytes(row.Values[i], context), output);
            }
        }

        output.Write(")"u8);
    }

    private static void Write(ReadOnlySpan<byte> text, IBufferWriter<byte> output)
    {
        bool quote = text.Length == 0;
        foreach (byte c in text)
        {
            quote |= c is (byte)'"' or (byte)'\\' or (byte)'(' or (byte)')' or (byte)',' or (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r' or 11 or 12;
        }

        if (!quote)
        {
            output.Write(text);
            return;
        }

        output.Write("\""u8);
        foreach (byte c in text)
        {
            if (c is (byte)'"' or (byte)'\\')
            {
                output.Write([c]);
            }

            output.Write([c]);
        }

        output.Write("\""u8);
    }
}
