using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Heap;

public sealed class HeapTupleCodecTests
{
    private static readonly TupleAttribute Int4 = Column(23, 4, true, 4);
    private static readonly TupleAttribute Int8 = Column(20, 8, true, 8);
    private static readonly TupleAttribute Int2 = Column(21, 2, true, 2);
    private static readonly TupleAttribute Bool = Column(16, 1, true, 1);
    private static readonly TupleAttribute Oid4 = Column(26, 4, true, 4);
    private static readonly TupleAttribute Name = Column(19, 64, false, 1);
    private static readonly TupleAttribute Text = Column(25, -1, false, 4) with { Storage = 'x' };
    private static readonly TupleAttribute PlainVector = Column(22, -1, false, 4);
    private static readonly TupleAttribute CString = Column(2275, -2, false, 1);

    [Fact]
    public void Values_come_back_as_they_were_stored()
    {
        var desc = new TupleDesc([Int4, Int8, Text, Int2, Bool, Name, Text, CString, Oid4, PlainVector, Int8]);
        Datum[] values =
        [
            Datum.FromInt32(-5), Datum.FromInt64(long.MinValue), Datum.FromText("short"), Datum.FromInt16(-2), Datum.FromBool(true),
            Datum.FromText("a name"), Datum.FromText(new string('x', 500)), Datum.FromText("c"), Datum.FromOid(new Oid(0xFFFFFFF0)),
            Datum.FromText("v"), Datum.FromInt64(7),
        ];
        byte[] tuple = HeapTupleCodec.Form(desc, values);
        var back = new Datum[desc.Count];
        HeapTupleCodec.Deform(desc, tuple, back);

        Assert.Equal(-5, back[0].Int32);
        Assert.Equal(long.MinValue, back[1].Int64);
        Assert.Equal("short", back[2].AsText());
        Assert.Equal(-2, back[3].Int16);
        Assert.True(back[4].Bool);
        Assert.Equal("a name", back[5].AsText());
        Assert.Equal(64, back[5].Bytes.Length);
        Assert.Equal(500, back[6].Bytes.Length);
        Assert.Equal("c", back[7].AsText());
        Assert.Equal(Datum.FromOid(new Oid(0xFFFFFFF0)).Bits, back[8].Bits);
        Assert.Equal("v", back[9].AsText());
        Assert.Equal(7, back[10].Int64);
        Assert.Equal(HeapInfoMask.HasVarWidth, HeapTupleCodec.ReadHeader(tuple).InfoMask);
    }

    [Fact]
    public void Nulls_take_no_room_but_a_bit()
    {
        var desc = new TupleDesc([Int4, Text, Int8]);
        byte[] tuple = HeapTupleCodec.Form(desc, [Datum.Null, Datum.Null, Datum.FromInt64(1)]);
        Assert.Equal(32, tuple.Length);
        Assert.Equal(0b100, tuple[HeapTupleHeader.Size]);
        var back = new Datum[3];
        HeapTupleCodec.Deform(desc, tuple, back);
        Assert.True(back[0].IsNull);
        Assert.True(back[1].IsNull);
        Assert.Equal(1, back[2].Int64);
    }

    [Fact]
    public void A_column_added_later_has_its_missing_value()
    {
        byte[] tuple = HeapTupleCodec.Form(new TupleDesc([Int4]), [Datum.FromInt32(1)]);
        var desc = new TupleDesc([Int4, Text with { Missing = Datum.FromText("m") }, Int8]);
        var back = new Datum[3];
        HeapTupleCodec.Deform(desc, tuple, back);
        Assert.Equal("m", back[1].AsText());
        Assert.True(back[2].IsNull);
    }

    [Fact]
    public void A_dropped_column_is_stored_as_null_and_skipped()
    {
        var before = new TupleDesc([Int4, Text, Int8]);
        byte[] old = HeapTupleCodec.Form(before, [Datum.FromInt32(1), Datum.FromText("gone"), Datum.FromInt64(3)]);
        var desc = new TupleDesc([Int4, Text with { IsDropped = true }, Int8]);
        var back = new Datum[3];
        HeapTupleCodec.Deform(desc, old, back);
        Assert.True(back[1].IsNull);
        Assert.Equal(3, back[2].Int64);
        byte[] now = HeapTupleCodec.Form(desc, back);
        Assert.Equal(HeapInfoMask.HasNull, HeapTupleCodec.ReadHeader(now).InfoMask);
    }

    [Fact]
    public void Only_wanted_columns_are_read()
    {
        var desc = new TupleDesc([Int4, Text, Int8, Text]);
        byte[] tuple = HeapTupleCodec.Form(desc, [Datum.FromInt32(1), Datum.FromText("b"), Datum.FromInt64(3), Datum.FromText("d")]);
        var back = new Datum[4];
        HeapTupleCodec.Deform(desc, tuple, back, new[] { false, false, true, false });
        Assert.True(back[0].IsNull && back[1].IsNull && back[3].IsNull);
        Assert.Equal(3, back[2].Int64);
    }

    [Fact]
    public void Toasted_values_pass_through_as_stored()
    {
        var desc = new TupleDesc([Bool, Text, Text]);
        var pointer = new ToastPointer(10004, 5000, new Oid(77), new Oid(88));
        var compressed = new ToastedValue(Varlena.MakeCompressed(300, ToastCompression.Pglz, [1, 2, 3]));
        byte[] tuple = HeapTupleCodec.Form(desc, [Datum.FromBool(true), new ToastedValue(pointer.ToBytes()).ToDatum(), compressed.ToDatum()]);
        Assert.Equal(HeapInfoMask.HasVarWidth | HeapInfoMask.HasExternal, HeapTupleCodec.ReadHeader(tuple).InfoMask);
        var back = new Datum[3];
        HeapTupleCodec.Deform(desc, tuple, back);
        Assert.Equal(pointer, Assert.IsType<ToastedValue>(back[1].Object).Pointer);
        Assert.True(pointer.IsCompressed);
        Assert.Equal(300, Assert.IsType<ToastedValue>(back[2].Object).RawSize);
        Assert.Equal(tuple, HeapTupleCodec.Form(desc, back));
    }

    [Fact]
    public void A_damaged_row_is_an_error_and_not_a_read_elsewhere()
    {
        var desc = new TupleDesc([Int4, Text, Int8]);
        byte[] tuple = HeapTupleCodec.Form(desc, [Datum.FromInt32(1), Datum.FromText("text"), Datum.FromInt64(3)]);
        var back = new Datum[3];
        for (int length = 0; length < tuple.Length; length++)
        {
            Assert.Throws<StorageException>(() => HeapTupleCodec.Deform(desc, tuple.AsSpan(0, length), back));
        }
    }

    [Fact]
    public void Index_entries_have_a_bitmap_of_four_bytes()
    {
        var desc = new TupleDesc([Int4, Text]);
        Span<byte> buffer = stackalloc byte[64];
        int size = IndexTupleCodec.Form(desc, [Datum.Null, Datum.FromText("k")], new Tid(new BlockNumber(70000), 9), buffer);
        Assert.Equal(24, size);
        Assert.Equal(16, IndexTupleCodec.DataOffset(buffer));
        Assert.Equal(new Tid(new BlockNumber(70000), 9), IndexTupleCodec.ReadTid(buffer));
        var back = new Datum[2];
        IndexTupleCodec.Deform(desc, buffer[..size], 2, back);
        Assert.True(back[0].IsNull);
        Assert.Equal("k", back[1].AsText());
        Assert.Equal(16, IndexTupleCodec.Form(desc, [Datum.FromInt32(4), Datum.FromText("k")], default, buffer));
    }

    private static TupleAttribute Column(uint type, short length, bool byValue, byte alignment) =>
        new() { Name = "c", TypeId = new Oid(type), Length = length, ByValue = byValue, Alignment = alignment };
}
