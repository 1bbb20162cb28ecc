using SharedStorage.Control.Leases;
using SharedStorage.Primitives;
using SharedStorage.Writer.Fencing;
using SharedStorage.Writer.Files;
using SharedStorage.Writer.Flush;

namespace SharedStorage.Simulation;

/// <summary>
/// A writer around the production decisions: table, gate, term, removals, cuts, consistent. What it does by itself is insert records, start writes and see them land. Changes of
/// pages are in <c>SimWriter.Changes.cs</c>, messages in <c>SimWriter.Channel.cs</c>.
/// </summary>
internal sealed partial class SimWriter
{
    private readonly World _world;
    private readonly SimNode _node;
    private readonly Timeline _log;
    private readonly int _timeline;
    private readonly WriterTerm _term;
    private readonly FlushGate _gate;
    private readonly ReaderTable _table;
    private readonly PendingRemovals<int> _removals = new();
    private readonly PendingCuts _cuts = new();
    private readonly List<int> _passed = [];
    private readonly PageImage[] _pages = new PageImage[Model.Pages];
    private readonly int[] _dirtyFrom = new int[Model.Pages];
    private readonly int[] _writingFrom = new int[Model.Pages];
    private readonly int _firstCheckpoint;
    private TimeSpan _renewAt;
    private TimeSpan _renewalBegan;
    private bool _renewing;
    private bool _flushing;
    private int _flushed;
    private int _visible;
    private int _horizon;
    private int _consistent;
    private int _redo;

    public SimWriter(World world, SimNode node, int timeline, WriterTerm term, bool formerMayWrite)
    {
        (_world, _node, _timeline, _term) = (world, node, timeline, term);
        _log = world.Timelines[timeline];
        _flushed = _visible = _log.Count;
        _redo = world.Storage.ControlRedo;
        _firstCheckpoint = formerMayWrite || _log.ForkAt > 0 ? _log.ForkAt + 1 : 0;
        _gate = new FlushGate(() => Model.L(_flushed), () => _term.IsHeld(_node.Local));
        _table = world.Rules.NewTable(world.Settings, world.RegisteredBut(node.Id), node.Local, term.Epoch, formerMayWrite);
        _renewAt = node.Local + world.Settings.Renewal;
        Array.Fill(_dirtyFrom, -1);
        Array.Fill(_writingFrom, -1);

        // R3: what the log changed since redo may be missing in the files.
        for (int page = 0; page < Model.Pages; page++)
        {
            _pages[page] = _log.PageAt(page, _log.Count);
            for (int i = world.Storage.ControlRedo; i < _log.Count && _dirtyFrom[page] < 0; i++)
            {
                _dirtyFrom[page] = _log.Records[i].Touches(page) && _log.Records[i].Kind != RecordKind.Create ? i : -1;
            }
        }

        TakeUpRemovals();
        OnReadersChanged();
    }

    public ulong Epoch => _term.Epoch;
    public int TimelineNumber => _timeline;
    public int Horizon => _horizon;
    public bool HoldsLease => _term.IsHeld(_node.Local);

    public void Step(ref Dice dice)
    {
        Renew(ref dice);
        if (!_term.IsHeld(_node.Local))
        {
            if (_term.LostBecause is not null)
            {
                _world.Stop(_node, "fenced");
            }

            return;
        }

        _table.Tick(Model.L(_flushed), _node.Local);
        OnReadersChanged();
        FinishActivations(ref dice);
        Act(ref dice);
        Broadcast(ref dice);
    }

    /// <summary>A write of this node is on storage.</summary>
    public void Landed(in Write write)
    {
        switch (write.Kind)
        {
            case WriteKind.Page:
                _writingFrom[write.Page] = -1;
                break;
            case WriteKind.Log:
                _flushing = false;
                if (_term.IsHeld(_node.Local))
                {
                    // The flush counts only if the lease held to its end.
                    _flushed = _visible = write.Count;
                    _log.Acknowledged = Math.Max(_log.Acknowledged, write.Count);
                }

                break;
            case WriteKind.Truncate:
                _cuts.End(_cutHold);
                (_cutFile, _cutting) = (-1, false);
                break;
            default:
                break;
        }
    }

    private void Renew(ref Dice dice)
    {
        if (_node.StorageCut || (!_renewing && _node.Local < _renewAt))
        {
            return;
        }

        if (!_renewing)
        {
            _renewalBegan = _node.Local;
            if (!_world.Rules.MayRenew(_term, _renewalBegan, _world.Storage.HighestEpoch))
            {
                return;
            }

            _renewing = true;
            if (dice.Chance(100))
            {
                // Between the look at the epochs and the write of the file.
                return;
            }
        }

        _renewing = false;
        _world.WriteLease(_node, _term.Epoch, _timeline);
        _term.Renewed(_renewalBegan, _node.Local);
        _renewAt = _node.Local + _world.Settings.Renewal;
    }

    private void Act(ref Dice dice)
    {
        for (int i = 0; i < 2; i++)
        {
            switch (dice.Below(16))
            {
                case 0 or 1 or 2:
                    Update(dice.Below(Model.Pages));
                    break;
                case 3:
                    Delete(dice.Below(Model.Pages));
                    break;
                case 4 or 5:
                    Prune(dice.Below(Model.Pages));
                    break;
                case 6:
                    BeginCut(ref dice);
                    break;
                case 7 when dice.Chance(200):
                    DropOrCreate(dice.Below(Model.Files));
                    break;
                case 8 or 9:
                    FlushLog(ref dice);
                    break;
                case 10 or 11:
                    FlushPage(dice.Below(Model.Pages), ref dice);
                    break;
                case 12:
                    Remove(ref dice);
                    break;
                case 13:
                    FinishCut(ref dice);
                    break;
                case 14:
                    Announce();
                    break;
                case 15 when dice.Chance(300):
                    Checkpoint();
                    break;
                default:
                    break;
            }
        }
    }

    private void FlushLog(ref Dice dice)
    {
        if (!_flushing && _log.Count > _flushed && _world.StartWrite(_node, new Write { Kind = WriteKind.Log, Count = _log.Count, Timeline = _timeline }, ref dice))
        {
            _flushing = true;
        }
    }

    private void FlushPage(int page, ref Dice dice)
    {
        if (_dirtyFrom[page] < 0 || _writingFrom[page] >= 0)
        {
            return;
        }

        if (_gate.Judge(Model.L(_pages[page].Lsn)) == Buffers.FlushVerdict.Write
            && _world.StartWrite(_node, new Write { Kind = WriteKind.Page, Page = page, Image = _pages[page] }, ref dice))
        {
            _writingFrom[page] = _dirtyFrom[page];
            _dirtyFrom[page] = -1;
        }
    }

    private Lsn OldestChange()
    {
        int oldest = _log.Count;
        for (int page = 0; page < Model.Pages; page++)
        {
            oldest = _dirtyFrom[page] >= 0 ? Math.Min(oldest, _dirtyFrom[page]) : oldest;
            oldest = _writingFrom[page] >= 0 ? Math.Min(oldest, _writingFrom[page]) : oldest;
        }

        return Model.L(oldest);
    }

    private void Announce()
    {
        Lsn value = new ConsistentPoint(
            Model.L(_log.Count), Model.L(_flushed), Model.L(_flushed), OldestChange(), _gate.LowestApplied, _cuts.Oldest).Value;
        _consistent = Math.Max(_consistent, Model.Position(value));
    }

    private void Checkpoint()
    {
        int redo = Model.Position(Lsn.Min(Lsn.Min(Model.L(_flushed), OldestChange()), _cuts.Oldest));
        if (redo <= _world.Storage.ControlRedo || _table.HonoursInherited)
        {
            return;
        }

        if (redo < _firstCheckpoint)
        {
            return;
        }

        _world.WriteControl(_node, _timeline, redo, Model.Position(_table.LowestWal));
        _redo = _node.StorageCut ? _redo : redo;
    }

    private void OnReadersChanged()
    {
        int remote = Model.Position(_world.Rules.HorizonMinimum(_table));
        _horizon = Math.Max(_horizon, Math.Min(_visible, remote));
        _gate.LowestApplied = _world.Rules.GateMinimum(_table);
    }
}
