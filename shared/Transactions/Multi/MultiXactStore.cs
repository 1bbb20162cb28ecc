using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;

namespace SharedStorage.Transactions.Multi;

/// <summary>
/// The pages of pg_multixact: where the members of each multixact begin (offsets), and the members. Creation writes its own offset and that of the next
/// multixact, so the number of members of the newest is known too. Callers serialize changes; reads need no lock.
/// </summary>
internal sealed class MultiXactStore(SlruFiles offsets, SlruFiles members)
{
    internal SlruCache Offsets { get; } = new(offsets);
    internal SlruCache Members { get; } = new(members);

    internal uint OffsetOf(MultiXactId multi, SlruMissing missing = SlruMissing.IsAnError) =>
        Offsets.Get(MultiXactOffsetLayout.PageOf(multi), missing).ReadUInt32(MultiXactOffsetLayout.OffsetOf(multi));

    /// <summary>The members from one number to before another; a slot 0 that was stepped over is left out.</summary>
    internal MultiXactMember[] ReadMembers(uint first, uint end)
    {
        uint count = end - first;
        if (count > 1 << 16)
        {
            throw new StorageException($"{Members.Files.Area}: {count} members from {first} on are not to be believed");
        }

        var found = new List<MultiXactMember>((int)count);
        for (uint member = first; member != end; member++)
        {
            SlruPage page = Members.Get(MultiXactMemberLayout.PageOf(member));
            var xid = new Xid(page.ReadUInt32(MultiXactMemberLayout.XidOffset(member)));
            if (xid.IsValid)
            {
                found.Add(new MultiXactMember(xid, (MultiXactStatus)page.ReadByte(MultiXactMemberLayout.FlagOffset(member))));
            }
        }

        return [.. found];
    }

    /// <summary>Marks the pages that <see cref="Write"/> will change, before the record is inserted (R3). The caller holds both areas' locks.</summary>
    internal void WillWrite(MultiXactId multi, uint first, int count, Lsn recLsn, SlruMissing missing)
    {
        SlruCache.WillChange(Offsets.GetForChange(MultiXactOffsetLayout.PageOf(multi), missing), recLsn);
        SlruCache.WillChange(Offsets.GetForChange(MultiXactOffsetLayout.PageOf(multi.Next()), missing), recLsn);
        for (int i = 0; i < count; i++)
        {
            SlruCache.WillChange(Members.GetForChange(MultiXactMemberLayout.PageOf(first + (uint)i), missing), recLsn);
        }
    }

    /// <summary>Writes a multixact: members first, so that whoever finds its offset finds them. The caller holds both areas' locks.</summary>
    internal void Write(MultiXactId multi, uint first, ReadOnlySpan<MultiXactMember> members, Lsn end, SlruMissing missing)
    {
        for (int i = 0; i < members.Length; i++)
        {
            uint member = first + (uint)i;
            SlruPage page = Members.GetForChange(MultiXactMemberLayout.PageOf(member), missing);
            page.WriteUInt32(MultiXactMemberLayout.XidOffset(member), members[i].Xid.Value);
            page.Bytes[MultiXactMemberLayout.FlagOffset(member)] = (byte)members[i].Status;
            SlruCache.Changed(page, end);
        }

        uint next = first + (uint)members.Length;
        WriteOffset(multi.Next(), next == 0 ? 1 : next, end, missing);
        WriteOffset(multi, first, end, missing);
    }

    internal static void Zero(SlruCache area, uint number, Lsn recLsn, Lsn end)
    {
        SlruPage page = area.GetZeroed(number);
        SlruCache.WillChange(page, recLsn);
        SlruCache.Changed(page, end);
    }

    /// <summary>Sets the next multixact's offset and clears what lies beyond both counters (TrimMultiXact): it is from before a crash.</summary>
    internal void Trim(MultiXactId next, uint nextOffset, Lsn at)
    {
        lock (Offsets.Sync)
        {
            int entry = MultiXactOffsetLayout.OffsetOf(next);
            uint number = MultiXactOffsetLayout.PageOf(next);
            SlruPage page = entry == 0 ? Offsets.GetZeroed(number) : Offsets.GetForChange(number, SlruMissing.ReadsAsZero);
            Span<byte> rest = page.Bytes.AsSpan(entry + sizeof(uint));
            if (page.ReadUInt32(entry) != nextOffset || rest.ContainsAnyExcept((byte)0))
            {
                SlruCache.WillChange(page, at);
                page.WriteUInt32(entry, nextOffset);
                rest.Clear();
                SlruCache.Changed(page, at);
            }
        }

        // Flag bytes in the rest of the group are set whenever their member is, so stale ones do no harm.
        if (MultiXactMemberLayout.StartsPage(nextOffset) || MultiXactMemberLayout.FlagOffset(nextOffset) == 0)
        {
            return;
        }

        lock (Members.Sync)
        {
            SlruPage page = Members.GetForChange(MultiXactMemberLayout.PageOf(nextOffset), SlruMissing.ReadsAsZero);
            Span<byte> rest = page.Bytes.AsSpan(MultiXactMemberLayout.XidOffset(nextOffset));
            if (rest.ContainsAnyExcept((byte)0))
            {
                SlruCache.WillChange(page, at);
                rest.Clear();
                SlruCache.Changed(page, at);
            }
        }
    }

    private void WriteOffset(MultiXactId multi, uint offset, Lsn end, SlruMissing missing)
    {
        SlruPage page = Offsets.GetForChange(MultiXactOffsetLayout.PageOf(multi), missing);
        page.WriteUInt32(MultiXactOffsetLayout.OffsetOf(multi), offset);
        SlruCache.Changed(page, end);
    }
}
