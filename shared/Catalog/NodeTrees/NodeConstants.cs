using System.Buffers.Binary;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.NodeTrees;

/// <summary>The values of CONST nodes as datums, both ways (outDatum and readDatum).</summary>
public static class NodeConstants
{
    private const int VarlenaHeader = 4;

    /// <summary>The value for <see cref="NodeBuilder.Const"/>; null for a null.</summary>
    /// <param name="length">pg_type.typlen.</param>
    public static NodeDatum? Encode(Datum value, short length, bool byValue)
    {
        if (value.IsNull)
        {
            return null;
        }

        if (byValue)
        {
            var bits = new byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(bits, value.Bits);
            return new NodeDatum(length, bits);
        }

        if (length != -1)
        {
            return new NodeDatum(value.Bytes.Length, value.Bytes);
        }

        var bytes = new byte[VarlenaHeader + value.Bytes.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)bytes.Length << 2);
        value.Bytes.CopyTo(bytes, VarlenaHeader);
        return new NodeDatum(bytes.Length, bytes);
    }

    /// <summary>The value of a CONST node.</summary>
    /// <exception cref="StorageException">The node is damaged.</exception>
    public static Datum Decode(NodeTree constant)
    {
        if (constant.Bool("constisnull"))
        {
            return Datum.Null;
        }

        byte[] bytes = (constant["constvalue"] as NodeDatum)?.Bytes ?? throw new StorageException("a constant of a stored expression has no value");
        short length = (short)constant.Int("constlen");
        if (constant.Bool("constbyval"))
        {
            long bits = BinaryPrimitives.ReadInt64LittleEndian(bytes);
            return (length, (uint)constant.Int("consttype")) switch
            {
                // Datums of these types are kept without a sign, whatever the upper half of PostgreSQL's word holds.
                (4, PgTypes.Oid or PgTypes.Xid or PgTypes.Cid or PgTypes.RegProc or PgTypes.RegProcedure or PgTypes.RegOper or PgTypes.RegOperator
                    or PgTypes.RegClass or PgTypes.RegType or PgTypes.RegNamespace or PgTypes.RegRole or PgTypes.RegCollation) => Datum.FromUInt32((uint)bits),
                (1, _) => Datum.FromInt16((sbyte)bits),
                (2, _) => Datum.FromInt16((short)bits),
                (4, _) => Datum.FromInt32((int)bits),
                _ => Datum.FromInt64(bits),
            };
        }

        if (length != -1)
        {
            return Datum.FromBytes(bytes);
        }

        return (bytes[0] & 1) != 0 ? Datum.FromBytes(bytes[1..]) : Datum.FromBytes(bytes[VarlenaHeader..]);
    }
}
