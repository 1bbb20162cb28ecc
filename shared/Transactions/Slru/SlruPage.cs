using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Slru;

/// <summary>
/// A page of an SLRU area in memory. Its bytes are read without a lock: all values in it are a byte or an aligned 32-bit word, so a read is whole.
/// They are changed only under the lock of the <see cref="SlruCache"/>.
/// </summary>
public sealed class SlruPage
{
    internal SlruPage(uint number) => Number = number;

    public uint Number { get; }

    /// <summary>The page's bytes as they are now; they may change under who looks.</summary>
    public ReadOnlySpan<byte> Content => Bytes;

    internal byte[] Bytes { get; } = new byte[SlruLayout.PageSize];

    /// <summary>The end of the last record that changed the page; such pages have none on disk (R7).</summary>
    public Lsn Lsn { get; internal set; }

    /// <summary>At or before the first record whose change is not in the file; <see cref="Lsn.Max"/> for a clean page (R3).</summary>
    internal Lsn RecLsn { get; set; } = Lsn.Max;

    internal bool IsDirty => RecLsn != Lsn.Max;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal byte ReadByte(int offset) => Volatile.Read(ref Bytes[offset]);

    internal uint ReadUInt32(int offset) =>
        Volatile.Read(ref Unsafe.As<byte, uint>(ref MemoryMarshal.GetReference(Bytes.AsSpan(offset, sizeof(uint)))));

    internal void WriteUInt32(int offset, uint value) =>
        Volatile.Write(ref Unsafe.As<byte, uint>(ref MemoryMarshal.GetReference(Bytes.AsSpan(offset, sizeof(uint)))), value);
}
