using SharedStorage.Writer.Fencing;

namespace SharedStorage.Simulation;

/// <summary>How nodes come and go: stops, starts as a writer after a look at the former one, promotions with a fence (R10, R13).</summary>
internal sealed partial class World
{
    private const int Claim = 0;
    private const int Lease = 1;
    private const int History = 2;
    private const int Record = 3;
    private const int Control = 4;

    public void Stop(SimNode node, string why)
    {
        Trace?.Invoke(Line(node, $"stops: {why}"));
        Settle(node);
        node.Clear();
        node.RestartAt = Now + _dice.Millis(50, 2500);
    }

    public void RestartReader(SimNode node)
    {
        node.Clear();
        node.Start();
        node.Reader = new SimReader(this, node);
    }

    private void StartWriter(SimNode node)
    {
        Settle(node);
        node.Clear();
        node.Start();
        node.Watch = new ClaimWatch(Settings.Outwaited + TimeSpan.FromMilliseconds(300));
    }

    /// <summary>The fencing hook cuts the former writers off, then the reader claims.</summary>
    private void Promote(SimNode node)
    {
        if (!_nodes.All(n => n == node || n.Opening is null) || _timelines >= Timelines.Length - 1)
        {
            return;
        }

        foreach (SimNode other in _nodes)
        {
            if (other.Writer is not null || other.Watch is not null)
            {
                other.StorageCut = true;
                Settle(other);
            }
        }

        Trace?.Invoke(Line(node, $"is promoted, former writers are fenced"));
        node.Opening = new Opening { After = Storage.HighestEpoch, NewTimeline = true };
    }

    /// <summary>One step of a node that is to be the writer; it may die after each.</summary>
    private void StepToWriter(SimNode node)
    {
        if (node.Watch is { } watch)
        {
            // The claim comes later: the node opens its files first, and others may act meanwhile.
            Look(node, watch);
            return;
        }

        if (node.Opening is not { } opening)
        {
            return;
        }

        if (node.StorageCut || (opening.Stage > Claim && opening.Term is { } term && !term.IsHeld(node.Local)))
        {
            Stop(node, "cannot go on to be the writer");
            return;
        }

        Advance(node, opening);
        if (node.Alive && node.Opening is not null && _dice.Chance(30))
        {
            Stop(node, $"killed on its way to be the writer, stage {opening.Stage}");
        }
    }

    private void Look(SimNode node, ClaimWatch watch)
    {
        bool local = _oneHost || Storage.LeaseNode == node.Id;
        bool dead = Storage.LeaseNode >= 0 && local && (!_nodes[Storage.LeaseNode].Alive || _nodes[Storage.LeaseNode].Life != Storage.LeaseLife);
        var sighting = new FormerSighting(Storage.HighestEpoch, Storage.LeaseEpoch, Storage.Renewal, Storage.Released, dead, Storage.Opened);
        ClaimVerdict verdict = watch.See(sighting, node.Local);
        if (verdict == ClaimVerdict.Wait)
        {
            return;
        }

        node.Watch = null;
        if (verdict == ClaimVerdict.Held || _timelines >= Timelines.Length - 1)
        {
            Stop(node, "another writer is at work");
            return;
        }

        bool silence = verdict == ClaimVerdict.FreeAfterSilence;
        node.Opening = new Opening { After = watch.After, NewTimeline = silence, FormerMayWrite = silence };
    }

    private void Advance(SimNode node, Opening opening)
    {
        switch (opening.Stage)
        {
            case Claim:
                opening.ClaimedAt = node.Local;
                opening.Epoch = Rules.Claim(Storage.HighestEpoch, opening.After);
                if (opening.Epoch == 0)
                {
                    Stop(node, "another node has claimed");
                    return;
                }

                Storage.HighestEpoch = Math.Max(Storage.HighestEpoch, opening.Epoch);
                break;
            case Lease:
                if (!TakeLease(node, opening))
                {
                    return;
                }

                break;
            case History:
                Branch(node, opening);
                break;
            case Record:
                Timeline log = Timelines[opening.Timeline];
                CheckMayStart(node);
                if (log.Count < Timeline.Capacity - 2)
                {
                    log.Records[log.Count++] = new LogRecord { Kind = RecordKind.EndOfRecovery, File = -1, Page = -1 };
                }

                log.Durable = log.Count;
                break;
            default:
                Open(node, opening);
                return;
        }

        opening.Stage++;
    }

    private bool TakeLease(SimNode node, Opening opening)
    {
        int newest = Storage.NewestTimeline;
        if (node.Reader is { } reader && !reader.TryFollow(newest))
        {
            Stop(node, "its log is not the last writer's");
            return false;
        }

        TimeSpan began = node.Local;
        opening.Term = new WriterTerm(opening.Epoch, Settings.Lease, opening.ClaimedAt);
        if (!Rules.MayRenew(opening.Term, began, Storage.HighestEpoch))
        {
            Stop(node, "another node has claimed");
            return false;
        }

        WriteLease(node, opening.Epoch, newest, opened: false);
        opening.Term.Renewed(began, node.Local);
        opening.Timeline = newest;
        return true;
    }

    private void Branch(SimNode node, Opening opening)
    {
        CheckMayStart(node);
        Timeline parent = Timelines[opening.Timeline];
        int end = parent.Durable;
        if (!opening.NewTimeline)
        {
            parent.Count = end;
            return;
        }

        int number = _timelines++;
        Timelines[number].Fork(parent, opening.Timeline, end);
        Storage.NewestTimeline = number;
        opening.Timeline = number;
        WriteLease(node, opening.Epoch, number, opened: false);
    }

    private void Open(SimNode node, Opening opening)
    {
        CheckMayStart(node);
        Timeline log = Timelines[opening.Timeline];
        for (int t = 0; t < _timelines; t++)
        {
            int kept = t == opening.Timeline ? log.Durable : Common(t, opening.Timeline);
            if (Timelines[t].Acknowledged > kept)
            {
                throw new ViolationException("R13", $"timeline {opening.Timeline} has {kept} records of timeline {t}, {Timelines[t].Acknowledged} were acknowledged");
            }
        }

        Storage.ControlTimeline = opening.Timeline;
        WriteLease(node, opening.Epoch, opening.Timeline);
        node.Opening = null;
        node.Reader = null;
        log.Acknowledged = log.Durable;
        node.Writer = new SimWriter(this, node, opening.Timeline, opening.Term!, opening.FormerMayWrite);
        Terms++;
        Trace?.Invoke(Line(node, $"is the writer of epoch {opening.Epoch}, timeline {opening.Timeline} from {log.Count}"));
    }
}
