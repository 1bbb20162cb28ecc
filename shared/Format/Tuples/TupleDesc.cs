using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>A column as storage sees it (a row of pg_attribute, in part).</summary>
public sealed record TupleAttribute
{
    public required string Name { get; init; }
    public required Oid TypeId { get; init; }

    /// <summary>Bytes; -1 is a varlena, -2 a C string (pg_type.typlen).</summary>
    public required short Length { get; init; }

    public required bool ByValue { get; init; }

    /// <summary>1, 2, 4 or 8 bytes (pg_type.typalign c, s, i, d).</summary>
    public required byte Alignment { get; init; }

    /// <summary>p plain, e external, m main, x extended (pg_attribute.attstorage).</summary>
    public char Storage { get; init; } = 'p';

    /// <summary>'p' pglz, 'l' lz4, '\0' the default (pg_attribute.attcompression).</summary>
    public char Compression { get; init; }

    public int TypeModifier { get; init; } = -1;
    public Oid Collation { get; init; }
    public short Number { get; init; }
    public bool NotNull { get; init; }
    public bool IsDropped { get; init; }
    public bool HasDefault { get; init; }

    /// <summary>What rows hold that were stored before the column was added (atthasmissing); null is none.</summary>
    public Datum? Missing { get; init; }

    public char Identity { get; init; }
    public char Generated { get; init; }
    public short InheritedCount { get; init; }
    public bool IsLocal { get; init; } = true;
    public short Dimensions { get; init; }
}

/// <summary>The columns of a row, in order; immutable.</summary>
public sealed class TupleDesc(IReadOnlyList<TupleAttribute> attributes)
{
    private readonly TupleAttribute[] _attributes = [.. attributes];

    /// <summary>How the columns lie in a row, computed once.</summary>
    internal TupleLayout Layout { get; } = new(attributes);

    public int Count => _attributes.Length;
    public TupleAttribute this[int index] => _attributes[index];
    public ReadOnlySpan<TupleAttribute> Attributes => _attributes;

    /// <summary>The index (from 0) of a live column by name, or -1.</summary>
    public int IndexOf(string name) =>
        Array.FindIndex(_attributes, a => !a.IsDropped && string.Equals(a.Name, name, StringComparison.Ordinal));
}
