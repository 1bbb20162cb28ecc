using SharedStorage.Access.Btree;
using SharedStorage.Format.Pages;

namespace SharedStorage.Unit.Btree;

/// <summary>The pages of an index file that stock PostgreSQL left, in memory.</summary>
internal sealed unsafe class FilePages : BtreePages, IDisposable
{
    private readonly byte* _memory;
    private readonly int _blocks;

    public FilePages(string path, string indexName = "test")
        : base(indexName)
    {
        byte[] bytes = File.ReadAllBytes(path);
        _blocks = bytes.Length / Page.Size;
        _memory = (byte*)System.Runtime.InteropServices.NativeMemory.Alloc((nuint)bytes.Length);
        bytes.CopyTo(new Span<byte>(_memory, bytes.Length));
    }

    public override bool CanWrite => false;
    public override uint BlockCount => (uint)_blocks;

    public override BtreeBuffer Pin(uint block)
    {
        Assert.InRange(block, 0u, (uint)_blocks - 1);
        return new BtreeBuffer(_memory + ((long)block * Page.Size), block);
    }

    public void Dispose() => System.Runtime.InteropServices.NativeMemory.Free(_memory);
}
