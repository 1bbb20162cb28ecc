using SharedStorage.Buffers;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

/// <summary>R12: each read from storage has the lease looked at before and after it, sizes too.</summary>
public sealed class ReadCheckTests : IDisposable
{
    private readonly PoolFixture _f = new(writing: false);
    private readonly Check _check = new();
    private readonly BufferPool _pool;

    public ReadCheckTests() => _pool = new BufferPool(new BufferPoolOptions
    {
        Frames = 32,
        Files = _f.Files,
        Applied = _f.Applied,
        Consistent = _f.Consistent,
        LogIndexBytes = 1 << 20,
        TornReadRetries = 0,
        ReadCheck = _check,
    });

    public void Dispose()
    {
        _pool.Dispose();
        _f.Dispose();
    }

    private sealed class Check : IStorageReadCheck
    {
        public List<string> Calls { get; } = [];
        public bool Refuses { get; set; }

        public void BeforeRead(in BufferTag tag) => Note("before");

        public void AfterRead(in BufferTag tag, Lsn pageLsn, bool pastEnd) => Note(pastEnd ? "past the end" : $"page {pageLsn.Value}");

        public void AfterSize(RelFileNode rel, ForkNumber fork) => Note($"size of {fork}");

        private void Note(string call)
        {
            Calls.Add(call);
            if (Refuses)
            {
                throw new PgException(SqlStates.ObjectNotInPrerequisiteState, call);
            }
        }
    }

    [Fact]
    public void A_read_is_checked_before_and_after()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        _pool.Pin(PoolFixture.Tag(0)).Dispose();
        _pool.Pin(PoolFixture.Tag(1)).Dispose();
        Assert.Equal(["size of Main", "before", "page 500", "past the end"], _check.Calls);
    }

    [Fact]
    public void A_size_that_is_refused_is_not_learned()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        _check.Refuses = true;
        Assert.Throws<PgException>(() => _pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        _f.WriteOnDisk(2, new Lsn(500));
        _check.Refuses = false;
        Assert.Equal(2u, _pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));

        // Known from now on: a frozen reader goes on with it.
        _check.Refuses = true;
        Assert.Equal(2u, _pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
    }

    [Fact]
    public void A_page_that_is_refused_after_it_was_read_is_read_again()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        Assert.Equal(1u, _pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        _check.Refuses = true;
        Assert.Throws<PgException>(() => _pool.Pin(PoolFixture.Tag(0)));
        _check.Refuses = false;
        _check.Calls.Clear();
        _pool.Pin(PoolFixture.Tag(0)).Dispose();
        Assert.Equal(["before", "page 500"], _check.Calls);
    }
}
