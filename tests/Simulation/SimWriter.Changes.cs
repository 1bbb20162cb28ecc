using SharedStorage.Primitives;

namespace SharedStorage.Simulation;

/// <summary>What a writer logs: versions of rows, pruning, cuts, drops.</summary>
internal sealed partial class SimWriter
{
    private int _cutFile = -1;
    private int _cutEnd;
    private bool _cutting;
    private Lsn _cutHold;

    private bool HasRoom => _log.Count < Timeline.Capacity - 2;

    private void Update(int page) => Change(page, delete: false);

    private void Delete(int page)
    {
        if (!_pages[page].IsDeletion(_pages[page].Versions) && _pages[page].Versions > 0)
        {
            Change(page, delete: true);
        }
    }

    private void Change(int page, bool delete)
    {
        PageImage now = _pages[page];
        int file = page / Model.Blocks;
        if (!HasRoom || _log.FileAt(file, _log.Count) == 0 || now.Versions >= Model.MaxVersions || file == _cutFile)
        {
            return;
        }

        now.Versions++;
        now.Deletions |= delete ? 1UL << now.Versions : 0;
        Insert(delete ? RecordKind.Delete : RecordKind.Update, page, now);
    }

    /// <summary>I7: version v goes when its successor committed at or before the horizon; a deletion that did goes too.</summary>
    private void Prune(int page)
    {
        PageImage now = _pages[page];
        int file = page / Model.Blocks;
        if (!HasRoom || _log.FileAt(file, _log.Count) == 0 || file == _cutFile)
        {
            return;
        }

        if (_log.FileAt(file, _horizon) != now.Incarnation)
        {
            // Made after the horizon: nothing in it is old enough.
            return;
        }

        int kept = _log.VersionAt(page, _horizon);
        int pruned = now.IsDeletion(kept) ? kept : kept - 1;
        if (pruned <= now.Pruned)
        {
            return;
        }

        if (!_node.StorageCut)
        {
            // What a writer logs that is cut off from storage nobody will ever read.
            _world.CheckPrune(_log, page, pruned);
        }

        now.Pruned = pruned;
        Insert(RecordKind.Prune, page, now);
    }

    private void BeginCut(ref Dice dice)
    {
        int page = (dice.Below(Model.Files) * Model.Blocks) + 1;
        PageImage now = _pages[page];
        int last = _log.LastTouch(page, _log.Count);
        if (!HasRoom || _cutFile >= 0 || now.Versions == 0 || now.Pruned != now.Versions || _writingFrom[page] >= 0
            || last < 0 || _log.Records[last].Kind is RecordKind.Cut or RecordKind.Create || _log.FileAt(page / Model.Blocks, _log.Count) == 0)
        {
            return;
        }

        _cutHold = _cuts.Begin(Model.L(_log.Count), _world.Rules.HoldOfCut(OldestChange()));
        Insert(RecordKind.Cut, page, now);
        _dirtyFrom[page] = -1;
        _cutFile = page / Model.Blocks;
        _cutEnd = _log.Count;
    }

    private void FinishCut(ref Dice dice)
    {
        if (_cutFile >= 0 && !_cutting && _flushed >= _cutEnd && _world.Rules.MayCut(Model.L(_cutEnd), _gate.LowestApplied))
        {
            _cutting = _world.StartWrite(_node, new Write { Kind = WriteKind.Truncate, File = _cutFile, Count = _cutEnd, Timeline = _timeline }, ref dice);
        }
    }

    private void DropOrCreate(int file)
    {
        if (!HasRoom || file == _cutFile)
        {
            return;
        }

        if (_log.FileAt(file, _log.Count) != 0)
        {
            Append(new LogRecord { Kind = RecordKind.Drop, File = (sbyte)file, Page = -1 });
            _removals.Add(Model.L(_log.Count), file);
        }
        else if (_world.Storage.Incarnation[file] == 0 && !_node.StorageCut)
        {
            // R2: a path is used again only when what lay there is gone.
            int incarnation = _world.NextIncarnation();
            _world.CheckMayStart(_node);
            (_world.Storage.Incarnation[file], _world.Storage.Blocks[file]) = (incarnation, 0);
            var made = new PageImage { Incarnation = incarnation, Lsn = _log.Count + 1 };
            Append(new LogRecord { Kind = RecordKind.Create, File = (sbyte)file, Page = -1, Initializes = true, After = made });
            for (int page = file * Model.Blocks; page < (file + 1) * Model.Blocks; page++)
            {
                _pages[page] = made;
            }
        }
    }

    private void Remove(ref Dice dice)
    {
        for (int page = 0; page < Model.Pages; page++)
        {
            if (_writingFrom[page] >= 0)
            {
                return;
            }
        }

        _passed.Clear();
        _removals.TakePassed(_world.Rules.RemovalLimit(_gate.LowestApplied, Model.L(_horizon)), _passed);
        foreach (int file in _passed)
        {
            int drop = LastDrop(file);
            if (drop < 0 || !_world.StartWrite(_node, new Write { Kind = WriteKind.Unlink, File = file, Count = drop + 1, Timeline = _timeline }, ref dice))
            {
                _removals.Add(Model.L(drop + 1), file);
                continue;
            }

            for (int page = file * Model.Blocks; page < (file + 1) * Model.Blocks; page++)
            {
                _dirtyFrom[page] = -1;
            }
        }
    }

    /// <summary>R2: removals survive a crash; a file whose creation the log lost is nobody's.</summary>
    private void TakeUpRemovals()
    {
        for (int file = 0; file < Model.Files; file++)
        {
            int drop = LastDrop(file);
            if (_log.FileAt(file, _log.Count) != 0 || _world.Storage.Incarnation[file] == 0)
            {
                continue;
            }

            if (_world.Storage.Incarnation[file] != _log.FileAt(file, drop))
            {
                _world.Storage.Incarnation[file] = 0;
                continue;
            }

            _removals.Add(Model.L(drop + 1), file);
        }
    }

    private int LastDrop(int file)
    {
        for (int i = _log.Count - 1; i >= 0; i--)
        {
            if (_log.Records[i].Kind == RecordKind.Drop && _log.Records[i].File == file)
            {
                return i;
            }
        }

        return -1;
    }

    private void Insert(RecordKind kind, int page, PageImage after)
    {
        int last = _log.LastTouch(page, _log.Count);
        after.Sequence++;
        after.Lsn = _log.Count + 1;
        if (_dirtyFrom[page] < 0)
        {
            _dirtyFrom[page] = _log.Count;
        }

        Append(new LogRecord
        {
            Kind = kind,
            File = (sbyte)(page / Model.Blocks),
            Page = (sbyte)page,
            Initializes = kind != RecordKind.Cut && (last < 0 || _log.Records[last].Kind is RecordKind.Cut or RecordKind.Create),
            After = after,
        });
        _pages[page] = after;
    }

    private void Append(in LogRecord record)
    {
        _log.Records[_log.Count++] = record;
        if (_world.Trace is not null)
        {
            _world.Trace(_world.Line(_node, $"logs {_log.Count - 1}: {record.Kind} of file {record.File}, page {record.Page}, horizon {_horizon}, gate {Model.Position(_gate.LowestApplied)}, flushed {_flushed}"));
        }
    }
}
