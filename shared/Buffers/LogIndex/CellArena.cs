using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>
/// Cells of 64 bytes in blocks of 1 MiB that are never given back, so that a look-up that runs beside a cut reads stale bytes at worst. Number 0 is no cell.
/// One thread takes and gives.
/// </summary>
internal sealed unsafe class CellArena : IDisposable
{
    private const int BlockBits = 14;
    private const int CellsPerBlock = 1 << BlockBits;
    private const int MaxBlocks = 1 << 15;

    private readonly byte*[] _blocks = new byte*[MaxBlocks];
    private readonly List<AlignedBuffer> _memory = [];
    private int _free;
    private int _next = 1;
    private long _inUse;

    public long BytesInUse => Volatile.Read(ref _inUse) * PageCell.Size;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref PageCell Page(int index) => ref Unsafe.AsRef<PageCell>(_blocks[index >> BlockBits] + ((long)(index & (CellsPerBlock - 1)) * PageCell.Size));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref RunCell Run(int index) => ref Unsafe.AsRef<RunCell>(_blocks[index >> BlockBits] + ((long)(index & (CellsPerBlock - 1)) * PageCell.Size));

    /// <summary>Where a cell lies, only to ask for it ahead; for no cell, some address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* AddressOf(int index) => _blocks[index >> BlockBits] + ((long)(index & (CellsPerBlock - 1)) * PageCell.Size);

    /// <exception cref="StorageException">32 GB are full.</exception>
    public int Take()
    {
        _inUse++;
        if (_free != 0)
        {
            int index = _free;
            _free = Run(index).Next;
            return index;
        }

        int block = _next >> BlockBits;
        if (block >= MaxBlocks)
        {
            throw new StorageException("the index of the log is full: too much log since the last checkpoint") { SqlState = SqlStates.IoError };
        }

        if (_blocks[block] is null)
        {
            var memory = new AlignedBuffer((long)CellsPerBlock * PageCell.Size);
            _memory.Add(memory);
            _blocks[block] = memory.Pointer;
        }

        return _next++;
    }

    public void Give(int index)
    {
        _inUse--;
        Run(index).Next = _free;
        _free = index;
    }

    public void Dispose() => _memory.ForEach(m => m.Dispose());
}

/// <summary>A page with its first entries. The tail is the number of entries and the cell of the last run, published in one write; the first <c>Skip</c> entries are cut.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = Size)]
internal unsafe struct PageCell
{
    public const int Size = 64;

    public BufferTag Tag;
    public int Next;
    public ulong Tail;
    public int Skip;
    public int FirstRun;
    public fixed ulong Inline[3];

    public readonly int Count => (int)(uint)Tail;
    public readonly int LastRun => (int)(Tail >> 32);

    public static ulong Pack(int count, int lastRun) => ((ulong)(uint)lastRun << 32) | (uint)count;
}

/// <summary>Seven further entries of a page.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = PageCell.Size)]
internal unsafe struct RunCell
{
    public int Next;
    public int Previous;
    public fixed ulong Entries[7];
}
