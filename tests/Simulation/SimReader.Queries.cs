using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Simulation;

/// <summary>
/// A reader's snapshots and reads. Both go step by step, with whatever happens in between: visible is read, then the snapshot is published; entries are looked up, then storage is read, then
/// the page is judged and brought forward. Each answer is compared with the log.
/// </summary>
internal sealed partial class SimReader
{
    private readonly Snapshot[] _snapshots = new Snapshot[2];
    private PageRead _read;

    private struct Snapshot
    {
        public bool Chosen;
        public bool Open;
        public int At;
    }

    private struct PageRead
    {
        public int Phase;
        public int Snapshot;
        public int At;
        public int Page;
        public int To;
        public int From;
        public int Timeline;
        public bool Missing;
        public PageImage Image;
    }

    /// <summary>The oldest published snapshot; the largest number for none.</summary>
    public int OldestSnapshot
    {
        get
        {
            int oldest = int.MaxValue;
            foreach (ref Snapshot snapshot in _snapshots.AsSpan())
            {
                oldest = snapshot.Open ? Math.Min(oldest, snapshot.At) : oldest;
            }

            return oldest;
        }
    }

    /// <summary>I7: a prune must leave what each open snapshot sees.</summary>
    public void CheckPrune(Timeline log, int page, int pruned)
    {
        foreach (ref Snapshot snapshot in _snapshots.AsSpan())
        {
            if (!snapshot.Open || log.FileAt(page / Model.Blocks, snapshot.At) != log.FileAt(page / Model.Blocks, log.Count))
            {
                continue;
            }

            int version = log.VersionAt(page, snapshot.At);
            if (version > 0 && version <= pruned && !log.PageAt(page, log.Count).IsDeletion(version))
            {
                throw new ViolationException("I7", $"version {version} of page {page} is pruned, a snapshot at {snapshot.At} of {World.Name(_node.Id)} sees it");
            }
        }
    }

    private void OpenSnapshot(ref Dice dice)
    {
        ref Snapshot snapshot = ref _snapshots[dice.Below(_snapshots.Length)];
        if (snapshot.Open)
        {
            return;
        }

        if (!snapshot.Chosen)
        {
            snapshot.Chosen = _lease.MayServe;
            snapshot.At = _applied;
            return;
        }

        snapshot.Chosen = false;
        snapshot.Open = true;
        Tick();
        if (snapshot.At < _horizon || !_lease.MayOpen(Model.L(snapshot.At)))
        {
            snapshot.Open = false;
            return;
        }

        _world.Trace?.Invoke(_world.Line(_node, $"opens a snapshot at {snapshot.At}, {_lease.State} at {_applied}, horizon {_horizon}"));

        if (snapshot.At < _start)
        {
            throw new ViolationException("R8", $"a snapshot at {snapshot.At} is opened, the commit-LSN map begins at {_start}");
        }

        if (IsCovered && _world.WriterOf(_lease.Epoch) is { } writer && snapshot.At < writer.Horizon)
        {
            throw new ViolationException("R4", $"a snapshot at {snapshot.At} is opened, horizon {writer.Horizon} was in use");
        }
    }

    private void CloseSnapshot(int index)
    {
        if (_snapshots[index].Open)
        {
            _world.Trace?.Invoke(_world.Line(_node, $"closes the snapshot at {_snapshots[index].At}, {_lease.State}"));
        }

        _snapshots[index].Open = false;
        if (_read.Phase != 0 && _read.Snapshot == index)
        {
            _read.Phase = 0;
        }
    }

    private void EndUncovered(ref Dice dice)
    {
        Lsn bound = _lease.MustEndBelow;
        for (int i = 0; i < _snapshots.Length; i++)
        {
            if (_snapshots[i].Open && Model.L(_snapshots[i].At) < bound && dice.Chance(200))
            {
                CloseSnapshot(i);
            }
        }
    }

    private void Query(ref Dice dice)
    {
        switch (_read.Phase)
        {
            case 0:
                int index = dice.Below(_snapshots.Length);
                int page = dice.Below(Model.Pages);
                Timeline log = _world.Timelines[_timeline];
                if (_snapshots[index].Open && log.FileAt(page / Model.Blocks, _snapshots[index].At) != 0)
                {
                    _read = new PageRead
                    {
                        Phase = 1,
                        Snapshot = index,
                        At = _snapshots[index].At,
                        Page = page,
                        To = _applied,
                        From = Math.Min(_consistent, _applied),
                        Timeline = _timeline,
                    };
                }

                break;
            case 1:
                _read.Missing = !_world.Storage.TryRead(_read.Page, out _read.Image);
                _read.Phase = 2;
                break;
            default:
                Judge();
                break;
        }
    }

    private void Judge()
    {
        Tick();
        _read.Phase = 0;
        Lsn lsn = _read.Missing || _read.Image.Lsn == 0 ? Lsn.Invalid : Model.L(_read.Image.Lsn);
        if (_world.Rules.Judge(_lease, lsn, _read.Missing, Model.L(_applied)) != ReadVerdict.Take)
        {
            // The query fails and says why.
            CloseSnapshot(_read.Snapshot);
            return;
        }

        if (_read.Image.Lsn > _read.To)
        {
            if (_applied < _read.Image.Lsn)
            {
                if (IsCovered)
                {
                    throw new ViolationException("I2", $"page {_read.Page} on storage is at {_read.Image.Lsn}, covered reader {World.Name(_node.Id)} has applied {_applied}");
                }

                CloseSnapshot(_read.Snapshot);
            }

            // Read again: applied has moved on.
            return;
        }

        Timeline log = _world.Timelines[_read.Timeline];
        if (_read.From < _world.Storage.Recycled && _read.From < _read.To)
        {
            if (_read.From < _consistent)
            {
                // Looked up before a cut: read again, from what storage has by now (BufferPool.MayBeginAgain).
                return;
            }

            if (!IsCovered || _world.Storage.RecycledAt < _activatedAt)
            {
                // Recycled while it was not counted: the query fails, and the next one begins at what is consistent by now.
                CloseSnapshot(_read.Snapshot);
                return;
            }

            throw new ViolationException("I3", $"the log from {_read.From} is needed by {World.Name(_node.Id)} and recycled before {_world.Storage.Recycled}");
        }

        Check(log, BringForward(log));
    }

    private PageImage BringForward(Timeline log)
    {
        PageImage page = _read.Image;
        int first = _read.From;
        for (int i = _read.To - 1; i >= _read.From; i--)
        {
            if (!log.Records[i].Touches(_read.Page))
            {
                continue;
            }

            if (log.Records[i].Initializes)
            {
                page = log.Records[i].After;
                first = i + 1;
                break;
            }

            if (log.Records[i].Kind == RecordKind.Cut && page.Lsn <= i)
            {
                page = log.Records[i].After;
                first = i + 1;
                break;
            }
        }

        for (int i = first; i < _read.To; i++)
        {
            ref readonly LogRecord record = ref log.Records[i];
            if (!record.Touches(_read.Page) || i < page.Lsn)
            {
                continue;
            }

            if (!record.Initializes && record.After.Sequence != page.Sequence + 1)
            {
                throw new ViolationException("I3", $"{Where()}: record {i} is redone on change {page.Sequence}, it is change {record.After.Sequence}");
            }

            page = record.After;
        }

        return page;
    }

    private void Check(Timeline log, in PageImage page)
    {
        int file = _read.Page / Model.Blocks;
        int seen = log.FileAt(file, _read.At);
        int now = log.FileAt(file, _read.To);
        if (now != 0 && now != seen)
        {
            throw new ViolationException("I5", $"{Where()}: the path of file {seen} has been used again for {now}");
        }

        int last = log.LastTouch(_read.Page, _read.To);
        PageImage truth = last < 0 ? default : log.Records[last].After;
        bool isVoid = last < 0 || log.Records[last].Kind is RecordKind.Cut or RecordKind.Create;
        bool same = isVoid ? page.Sequence == 0 || page == truth : page.Incarnation == truth.Incarnation && page.Sequence == truth.Sequence;
        if (!same)
        {
            throw new ViolationException("I3", $"{Where()}: the page has change {page.Sequence} of file {page.Incarnation}, the log says {truth.Sequence} of {truth.Incarnation}");
        }

        int version = log.VersionAt(_read.Page, _read.At);
        if (version > 0 && version <= truth.Pruned && !truth.IsDeletion(version))
        {
            throw new ViolationException("I7", $"{Where()}: the version that the snapshot sees, {version}, is gone");
        }

        _world.Answers++;
    }

    private string Where() =>
        $"{World.Name(_node.Id)}, {_lease.State}, reads page {_read.Page} as of {_read.To} for a snapshot at {_read.At}, entries from {_read.From}, storage has {(_read.Missing ? "nothing" : _read.Image.ToString())}";
}
