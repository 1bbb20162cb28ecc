using System.Collections.Frozen;

namespace SharedStorage.Primitives;

/// <summary>Every fault point with what holds when it is reached. `sharedstorage faultpoints` prints this; a test compares it with the code.</summary>
public static class FaultPoints
{
    private static readonly FrozenDictionary<string, string> Declared = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["activation.before-floor"] = "a reader counts at zero, its floor is not read yet (R4)",
        ["autovacuum-before-look"] = "autovacuum is about to look through the databases",
        ["btree.backward.before-left"] = "a leaf's left link has been followed by a backward scan, the neighbour is not looked at yet (R9)",
        ["btree.delete.half-dead"] = "an index page is half dead, its parent still has it",
        ["btree.index-only.before-visibility-map"] = "an index-only scan has read a leaf, the visibility map is not looked at yet (R9)",
        ["btree.split.before-parent"] = "an index page is split, the parent does not know the new page",
        ["buffers.after-read"] = "a page has been read from storage, and is not judged yet (R6, R12)",
        ["buffers.before-read"] = "the page's entries are looked up, storage is not read yet (R6)",
        ["buffers.before-write"] = "a page goes to storage next",
        ["buffers.torn-write"] = "armed, the next page reaches storage by half; then the action follows (I12)",
        ["checkpoint-after-redo"] = "redo is chosen, nothing is flushed",
        ["checkpoint-before-control"] = "the checkpoint's record is durable, the control file names the former one",
        ["checkpoint-before-record"] = "all is flushed, the checkpoint has no record",
        ["checkpoint-before-recycling"] = "the control file names the checkpoint, old segments are there",
        ["commit-after-flush"] = "the commit record is durable, nobody is told",
        ["commit-after-record"] = "the commit record is inserted and not durable",
        ["commit-before-clog"] = "the commit record is durable, its bit in clog is not set (R7)",
        ["commit-before-record"] = "a transaction commits, without a record yet",
        ["database.copied"] = "all pages of a new database are logged, its row is not committed",
        ["database.dropped"] = "a database's drop is logged, the removal of its row is not committed",
        ["files.after-unlink"] = "a dropped file is gone, others of its relation may be there (I5)",
        ["files.before-truncate"] = "every leased reader has applied the record, the file is not cut (R1)",
        ["files.before-unlink"] = "every reader has passed the drop, the file is there (I5)",
        ["io.datasync"] = "log or data is about to be synced",
        ["io.durable-before-rename"] = "a small file is written under its temporary name",
        ["lease.before-renewal"] = "the writer may renew, its lease file is not written (I8)",
        ["promote-after-claim"] = "the epoch is claimed, the lease file is the former writer's (I9)",
        ["promote-after-control"] = "the control file names the new timeline (R10)",
        ["promote-after-history"] = "the history file is durable, the new timeline has no record (R10)",
        ["promote-before-control"] = "the end-of-recovery record is durable, the control file names the former timeline (R10)",
        ["promote-before-history"] = "the new timeline has its first segment and no history file (R10)",
        ["promote-before-log-end"] = "the log beyond what was announced is not read (R10)",
        ["promote-before-record"] = "the role is taken over, the end-of-recovery record is not written (R10)",
        ["reader.before-apply"] = "log is announced and the lease allows it, it is not applied yet; the reader goes on acknowledging",
        ["reader.before-activation"] = "the reader is near, and has not asked to be counted (R4)",
        ["shorten-after-record"] = "a cut's record is durable, readers may not have applied it (R1)",
        ["snapshot.before-publish"] = "visible is read, the snapshot is not registered (I7, R4)",
        ["wal.sync"] = "the log is written and not synced",
        ["wal.write"] = "log goes to its segment next",
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static IEnumerable<(string Name, string Meaning)> All => Declared.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => (p.Key, p.Value));

    public static bool IsDeclared(string name) => Declared.ContainsKey(name);
}
