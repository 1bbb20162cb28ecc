using System.Buffers.Binary;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>pg_attribute.attmissingval: an array of one element of the column's type, for rows that were stored before the column was added.</summary>
internal static class MissingValue
{
    // Dimensions, data offset, element type, one dimension with its bound; then padding, so that counted with the length header the data is at 8 n.
    private const int DataOffset = 20;

    public static Datum Read(ReadOnlySpan<byte> array, PgAttribute column)
    {
        ReadOnlySpan<byte> data = array[DataOffset..];
        switch (column.AttLen)
        {
            case > 0 when column.AttByVal:
                return column.AttLen switch
                {
                    1 => Datum.FromInt16((sbyte)data[0]),
                    2 => Datum.FromInt16(BinaryPrimitives.ReadInt16LittleEndian(data)),
                    4 when column.AttTypId.Value is PgTypes.Oid or PgTypes.Xid => Datum.FromUInt32(BinaryPrimitives.ReadUInt32LittleEndian(data)),
                    4 => Datum.FromInt32(BinaryPrimitives.ReadInt32LittleEndian(data)),
                    _ => Datum.FromInt64(BinaryPrimitives.ReadInt64LittleEndian(data)),
                };
            case > 0:
                return Datum.FromBytes(data[..column.AttLen].ToArray());
            case -1 when (data[0] & 1) != 0:
                return Datum.FromBytes(data[1..(data[0] >> 1)].ToArray());
            case -1:
                int length = (int)(BinaryPrimitives.ReadUInt32LittleEndian(data) >> 2);
                return Datum.FromBytes(data[4..length].ToArray());
            default:
                throw PgException.NotSupported($"a missing value for column \"{column.AttName}\"");
        }
    }
}
