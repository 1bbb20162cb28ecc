using System.Buffers;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>
/// What a type can do: text and binary forms, type modifiers, the default order, equality and hash. Stateless, shared by all sessions.
/// A null value never comes here. Bytes that fail to parse raise PostgreSQL's error for that type (22P02, 22003, 22007, 22008, 22P03).
/// </summary>
public abstract class PgType
{
    public required uint Id { get; init; }

    /// <summary>As format_type prints it ("integer"), for messages.</summary>
    public required string Name { get; init; }

    /// <summary>pg_type.typlen.</summary>
    public required short Length { get; init; }
    public required bool ByValue { get; init; }

    /// <summary>1, 2, 4 or 8 bytes.</summary>
    public byte Alignment { get; init; } = 4;

    /// <summary>pg_type.typarray; 0 is none.</summary>
    public uint ArrayId { get; init; }

    /// <summary>pg_type.typdelim.</summary>
    public char Delimiter { get; init; } = ',';

    /// <summary>The type of the elements of a true array; else null.</summary>
    public virtual PgType? Element => null;

    /// <summary>From the text form, in UTF-8; the modifier is applied when it is not -1.</summary>
    public abstract Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context);

    /// <summary>The text form, in UTF-8.</summary>
    public abstract void Output(Datum value, IBufferWriter<byte> output, EvalContext context);

    /// <summary>From the binary form of the protocol.</summary>
    public virtual Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) =>
        throw new PgException(SqlStates.UndefinedFunction, $"no binary input function available for type {Name}");

    public virtual void Send(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        throw new PgException(SqlStates.UndefinedFunction, $"no binary output function available for type {Name}");

    /// <summary>The default order of the type (its default btree class); text by the collation.</summary>
    public virtual int Compare(Datum a, Datum b, Collation? collation) =>
        throw new PgException(SqlStates.UndefinedFunction, $"could not identify a comparison function for type {Name}");

    public virtual bool AreEqual(Datum a, Datum b) => Compare(a, b, null) == 0;

    /// <summary>Consistent with <see cref="AreEqual"/>, and among int2, int4, int8, and among float4, float8. Ours, not the one of hash indexes.</summary>
    public virtual int Hash(Datum value) =>
        throw new PgException(SqlStates.UndefinedFunction, $"could not identify a hash function for type {Name}");

    /// <summary>numeric(10,2): the parts as written, to pg_attribute.atttypmod.</summary>
    public virtual int ParseTypeModifier(IReadOnlyList<int> parts) =>
        throw new PgException(SqlStates.SyntaxError, $"type modifier is not allowed for type \"{Name}\"");

    /// <summary>"(10,2)"; empty for -1.</summary>
    public virtual string FormatTypeModifier(int typeModifier) => "";

    public Datum InputText(string text, int typeModifier, EvalContext context) => Input(Encoding.UTF8.GetBytes(text), typeModifier, context);

    public string OutputText(Datum value, EvalContext context)
    {
        var buffer = new ArrayBufferWriter<byte>(64);
        Output(value, buffer, context);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    public byte[] OutputBytes(Datum value, EvalContext context)
    {
        var buffer = new ArrayBufferWriter<byte>(64);
        Output(value, buffer, context);
        return buffer.WrittenSpan.ToArray();
    }

    internal PgException InvalidInput(ReadOnlySpan<byte> text) =>
        new(SqlStates.InvalidTextRepresentation, $"invalid input syntax for type {Name}: \"{Encoding.UTF8.GetString(text)}\"");

    internal PgException OutOfRange(ReadOnlySpan<byte> text) =>
        new(SqlStates.NumericValueOutOfRange, $"value \"{Encoding.UTF8.GetString(text)}\" is out of range for type {Name}");

    internal void CheckLength(ReadOnlySpan<byte> data, int length)
    {
        if (data.Length < length)
        {
            throw new PgException(SqlStates.ProtocolViolation, "insufficient data left in message");
        }

        if (data.Length > length)
        {
            throw new PgException(SqlStates.InvalidBinaryRepresentation, "incorrect binary data format");
        }
    }
}
