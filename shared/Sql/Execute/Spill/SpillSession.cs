using SharedStorage.Primitives;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>
/// How much memory a session's sorts and hash tables may use, and how much disk: work_mem, hash_mem_multiplier, temp_file_limit. Belongs to the session's thread.
/// </summary>
/// <param name="directory">Null: the node has no place for temporary files, so everything stays in memory.</param>
public sealed class SpillSession(TempDirectory? directory, int processId)
{
    private readonly List<SpillOwner> _owners = [];
    private long _onDisk;

    public TempDirectory? Directory { get; } = directory;
    public int ProcessId { get; } = processId;

    /// <summary>work_mem in bytes: what one sort or one set of kept rows may use.</summary>
    public long WorkMemory { get; set; } = 4L << 20;

    /// <summary>hash_mem_multiplier: a hash table may use so many times work_mem.</summary>
    public double HashMultiplier { get; set; } = 2;

    /// <summary>temp_file_limit in kB for all files of the session at a time; negative is none.</summary>
    public long FileLimit { get; set; } = -1;

    /// <summary>Bytes that the session's files have now.</summary>
    public long OnDisk => _onDisk;

    /// <exception cref="PgException">53400: the files would grow beyond the limit.</exception>
    internal void Grow(long bytes)
    {
        if (FileLimit >= 0 && _onDisk + bytes > FileLimit * 1024)
        {
            throw new PgException(SqlStates.ConfigurationLimitExceeded, $"temporary file size exceeds temp_file_limit ({FileLimit}kB)");
        }

        _onDisk += bytes;
    }

    internal void Shrink(long bytes) => _onDisk -= bytes;
    internal void Add(SpillOwner owner) => _owners.Add(owner);
    internal void Remove(SpillOwner owner) => _owners.Remove(owner);

    /// <summary>The end of a transaction: whatever did not come to its own end gives its files back, all but cursors WITH HOLD.</summary>
    public void EndTransaction()
    {
        for (int i = _owners.Count - 1; i >= 0; i--)
        {
            if (!_owners[i].OutlivesTransaction)
            {
                _owners[i].Release();
            }
        }
    }
}

/// <summary>
/// The temporary files of one executor tree or cursor. They go with its end, however it ends: nodes of subqueries are not closed one by one.
/// </summary>
public sealed class SpillOwner(SpillSession session)
{
    private readonly List<TempFile> _files = [];
    private RowBuffer? _scratch;

    public SpillSession Session { get; } = session;

    /// <summary>What a sort or kept rows may use.</summary>
    public long SortMemory => Session.Directory is null ? long.MaxValue : Session.WorkMemory;

    /// <summary>What a hash table may use.</summary>
    public long HashMemory => Session.Directory is null ? long.MaxValue : (long)Math.Min(Session.WorkMemory * Session.HashMultiplier, long.MaxValue / 2);

    /// <summary>Where rows are written before they are known to fit into a block.</summary>
    internal RowBuffer Scratch => _scratch ??= new RowBuffer();

    /// <summary>Kept rows of a cursor WITH HOLD.</summary>
    public bool OutlivesTransaction { get; init; }

    internal TempFile NewFile()
    {
        if (_files.Count == 0)
        {
            Session.Add(this);
        }

        var file = new TempFile(Session, _files);
        _files.Add(file);
        return file;
    }

    /// <summary>Removes all files.</summary>
    public void Release()
    {
        for (int i = _files.Count - 1; i >= 0; i--)
        {
            _files[i].Dispose();
        }

        Session.Remove(this);
    }
}
