namespace SharedStorage.Simulation;

/// <summary>Writes to shared storage: when they may start, when they land, and what must hold when they do.</summary>
internal sealed partial class World
{
    /// <summary>I8, I9: a writer starts a write only with its lease, and while no later writer is open.</summary>
    public void CheckMayStart(SimNode node)
    {
        ulong epoch = node.Writer?.Epoch ?? node.Opening?.Epoch ?? 0;
        foreach (SimNode other in _nodes)
        {
            if (other.Writer is { } later && later.Epoch > epoch)
            {
                throw new ViolationException("I9", $"{Names[node.Id]} of epoch {epoch} starts a write, {Names[other.Id]} is the writer of epoch {later.Epoch}");
            }

            if (other != node && other.Writer is { } same && same.Epoch == epoch)
            {
                throw new ViolationException("I9", $"{Names[node.Id]} and {Names[other.Id]} are writers of epoch {epoch}");
            }
        }

        if (node.Writer is { HoldsLease: false })
        {
            throw new ViolationException("I8", $"{Names[node.Id]} starts a write without its lease");
        }
    }

    public bool StartWrite(SimNode node, in Write write, ref Dice dice)
    {
        if (node.StorageCut)
        {
            return false;
        }

        CheckMayStart(node);
        for (int i = 0; i < _writes.Length; i++)
        {
            if (!_writes[i].Used)
            {
                long takes = dice.Below(100) switch { < 80 => dice.Millis(1, 20), < 96 => dice.Millis(10, 300), _ => dice.Millis(200, 1900) };
                _writes[i] = write with { Used = true, Node = node.Id, Life = node.Life, LandAt = Now + takes };
                return true;
            }
        }

        return false;
    }

    public void WriteLease(SimNode node, ulong epoch, int timeline, bool opened = true)
    {
        Storage.LeaseEpoch = epoch;
        Storage.Renewal++;
        (Storage.Released, Storage.Opened) = (false, opened);
        (Storage.LeaseNode, Storage.LeaseLife, Storage.LeaseTimeline) = (node.Id, node.Life, timeline);
    }

    public void WriteControl(SimNode node, int timeline, int redo, int oldestWal)
    {
        if (node.StorageCut)
        {
            return;
        }

        CheckMayStart(node);
        if (timeline != Storage.ControlTimeline || redo < Timelines[timeline].ForkAt)
        {
            throw new ViolationException("R10", $"a checkpoint of timeline {timeline} has redo {redo}, the timeline begins at {Timelines[timeline].ForkAt}");
        }

        CheckRedo(timeline, redo);
        int previous = Storage.ControlRedo;
        Storage.ControlRedo = redo;
        int recycled = Math.Min(previous, oldestWal);
        if (recycled > Storage.Recycled)
        {
            (Storage.Recycled, Storage.RecycledAt) = (recycled, Now);
        }
    }

    /// <summary>R3, R1: every change before redo is in the files, or recovery redoes it on the wrong base.</summary>
    private void CheckRedo(int timeline, int redo)
    {
        Timeline log = Timelines[timeline];
        for (int page = 0; page < Model.Pages; page++)
        {
            int last = log.LastTouch(page, redo);
            if (last < 0 || log.Records[last].Kind is RecordKind.Cut or RecordKind.Create || log.FileAt(page / Model.Blocks, log.Count) == 0)
            {
                continue;
            }

            bool there = Storage.TryRead(page, out PageImage image);
            bool redone = false;
            for (int i = redo; i < log.Count && !redone; i++)
            {
                redone = log.Records[i].Touches(page) && (log.Records[i].Initializes || log.Records[i].Kind == RecordKind.Cut);
            }

            if (!redone && (!there || image.Lsn < log.Records[last].After.Lsn))
            {
                throw new ViolationException("R3", $"redo is {redo}, page {page} was changed by record {last} and is on storage as of {image.Lsn}");
            }
        }
    }

    private void Land()
    {
        for (int i = 0; i < _writes.Length; i++)
        {
            ref Write write = ref _writes[i];
            if (write.Used && !write.OnStorage && write.LandAt <= Now)
            {
                write.OnStorage = true;
                Apply(write);
                if (_nodes[write.Node].Life != write.Life || !_nodes[write.Node].Alive)
                {
                    write.Used = false;
                }
            }
        }
    }

    private void TellLanded(SimNode node)
    {
        for (int i = 0; i < _writes.Length; i++)
        {
            ref Write write = ref _writes[i];
            if (write.Used && write.OnStorage && write.Node == node.Id)
            {
                write.Used = false;
                node.Writer?.Landed(write);
            }
        }
    }

    /// <summary>The process is gone: what it had started is on storage or never will be.</summary>
    private void Settle(SimNode node)
    {
        for (int i = 0; i < _writes.Length; i++)
        {
            ref Write write = ref _writes[i];
            if (write.Used && write.Node == node.Id)
            {
                write.Used = false;
                if (!write.OnStorage && !node.StorageCut && _dice.Chance(500))
                {
                    Apply(write);
                }
            }
        }
    }

    private void Apply(in Write write)
    {
        switch (write.Kind)
        {
            case WriteKind.Page:
                ApplyPage(write.Page, write.Image);
                break;
            case WriteKind.Log:
                Timelines[write.Timeline].Durable = Math.Max(Timelines[write.Timeline].Durable, write.Count);
                break;
            case WriteKind.Truncate:
                CheckPassed("R1", write, snapshots: false);
                Storage.Blocks[write.File] = Math.Min(Storage.Blocks[write.File], 1);
                break;
            case WriteKind.Unlink:
                CheckPassed("I5", write, snapshots: true);
                (Storage.Incarnation[write.File], Storage.Blocks[write.File]) = (0, 0);
                break;
            default:
                break;
        }
    }

    private void ApplyPage(int page, in PageImage image)
    {
        int file = page / Model.Blocks;
        foreach (SimNode node in _nodes)
        {
            if (node.Reader is { IsCovered: true } reader && reader.Applied < image.Lsn)
            {
                throw new ViolationException("I2", $"page {page} reaches storage at {image.Lsn}, covered reader {Names[node.Id]} has applied {reader.Applied}");
            }
        }

        if (Storage.Incarnation[file] != image.Incarnation)
        {
            // The file was unlinked under the write.
            return;
        }

        int within = page % Model.Blocks;
        bool there = within < Storage.Blocks[file];
        if (there && Storage.Pages[page].Lsn > image.Lsn)
        {
            throw new ViolationException("R13", $"page {page} on storage is overwritten at {Storage.Pages[page].Lsn} by an older one at {image.Lsn}");
        }

        for (int i = Storage.Blocks[file]; i < within; i++)
        {
            Storage.Pages[(file * Model.Blocks) + i] = default;
        }

        Storage.Blocks[file] = Math.Max(Storage.Blocks[file], within + 1);
        Storage.Pages[page] = image;
    }

    private void CheckPassed(string rule, in Write write, bool snapshots)
    {
        foreach (SimNode node in _nodes)
        {
            if (node.Reader is { IsCovered: true } reader && (reader.Applied < write.Count || (snapshots && reader.OldestSnapshot < write.Count)))
            {
                throw new ViolationException(rule, $"file {write.File} is {write.Kind}d after record {write.Count}, covered reader {Names[node.Id]} has applied {reader.Applied}, its oldest snapshot is {reader.OldestSnapshot}");
            }
        }
    }
}
