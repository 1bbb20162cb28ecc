using System.Runtime.InteropServices;

namespace SharedStorage.Io;

/// <summary>Memory outside the collector's heap that begins at a multiple of 4096, as O_DIRECT asks. Buffers up to 1 MiB are zero at first; larger ones are not to be read before they are written.</summary>
public sealed unsafe class AlignedBuffer : IDisposable
{
    /// <summary>What O_DIRECT asks of memory, offsets and lengths on every filesystem that is supported.</summary>
    public const int Alignment = 4096;

    /// <summary>A larger page of x86-64, and of arm64 with pages of 4096.</summary>
    private const int HugePage = 2 << 20;

    private byte* _pointer;

    /// <param name="length">Bytes; rounded up to the alignment.</param>
    /// <exception cref="OutOfMemoryException">The system does not give that much.</exception>
    public AlignedBuffer(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        Length = (length + (Alignment - 1)) & ~(long)(Alignment - 1);

        bool huge = Length >= 2 * HugePage;
        _pointer = (byte*)NativeMemory.AlignedAlloc((nuint)Length, (nuint)(huge ? HugePage : Alignment));
        if (huge)
        {
            // Pools and the index of the log are looked into at random: a smaller page table, and fewer faults. Like PostgreSQL's huge_pages = try: a system without them refuses, and nothing is lost.
            _ = NativeCalls.Advise(_pointer, (nuint)(Length & ~(HugePage - 1L)), NativeCalls.AdviseHugePages);
        }

        // Large blocks come fresh from the system, as they are touched: clearing them here would take all of it at once.
        if (Length <= 1 << 20)
        {
            NativeMemory.Clear(_pointer, (nuint)Length);
        }

        GC.AddMemoryPressure(Math.Min(Length, 1 << 20));
    }

    ~AlignedBuffer() => Free();

    public long Length { get; }

    public byte* Pointer => _pointer;

    /// <summary>The whole buffer; only for those below 2 GB.</summary>
    public Span<byte> Span => new(_pointer, checked((int)Length));

    public Span<byte> Slice(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + length, Length);
        return new(_pointer + offset, length);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_pointer is not null)
        {
            NativeMemory.AlignedFree(_pointer);
            _pointer = null;
            GC.RemoveMemoryPressure(Math.Min(Length, 1 << 20));
        }
    }
}
