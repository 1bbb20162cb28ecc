using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// Finds everything that must go with some objects, in an order in which it can be removed: dependents first (findDependentObjects of dependency.c).
/// </summary>
internal sealed class DependencyWalk(CatalogView view, Func<ObjectAddress, string> describe, Action<ObjectAddress> beforeRemoval)
{
    private readonly List<Target> _targets = [];

    [Flags]
    internal enum Reason
    {
        None = 0,

        /// <summary>Named in the statement.</summary>
        Original = 1,
        Normal = 2,
        Auto = 4,
        Internal = 8,
        Partition = 16,
        Extension = 32,

        /// <summary>Reached backward, from a part to the object that owns it.</summary>
        Reverse = 64,
        IsPart = 128,

        /// <summary>A column of an object that goes too.</summary>
        SubObject = 256,
    }

    internal sealed class Target(ObjectAddress address, Reason reason, ObjectAddress? dependee)
    {
        public ObjectAddress Address { get; } = address;
        public Reason Reason { get; set; } = reason;

        /// <summary>What it depends on, for messages.</summary>
        public ObjectAddress? Dependee { get; } = dependee;
    }

    private sealed class Level(ObjectAddress address, Reason reason, Level? outer)
    {
        public ObjectAddress Address { get; } = address;
        public Reason Reason { get; set; } = reason;
        public Level? Outer { get; } = outer;
    }

    public IReadOnlyList<Target> Targets => _targets;

    /// <param name="pending">Other objects of the same statement: an owned one among them goes with its owner.</param>
    public void Add(ObjectAddress address, IReadOnlyCollection<ObjectAddress> pending) => Find(address, Reason.Original, null, pending);

    private void Find(ObjectAddress address, Reason reason, Level? stack, IReadOnlyCollection<ObjectAddress> pending)
    {
        if (OnStack(address, reason, stack) || IsTarget(address, reason))
        {
            return;
        }

        if (address.IsPinned)
        {
            throw new PgException(SqlStates.DependentObjectsStillExist, $"cannot drop {describe(address)} because it is required by the database system");
        }

        beforeRemoval(address);
        ObjectAddress? partition = null;
        if (!FindOwners(address, ref reason, stack, pending, ref partition))
        {
            return;
        }

        var level = new Level(address, reason, stack);
        foreach ((ObjectAddress dependent, Reason why) in DependentsOf(address))
        {
            Find(dependent, why, level, pending);
        }

        ObjectAddress? dependee = (level.Reason & Reason.IsPart) != 0 ? partition : stack?.Address;
        _targets.Add(new Target(address, level.Reason, dependee));
    }

    /// <summary>
    /// Looks at what the object depends on. One that is an internal part goes with its owner: from there the walk starts anew. False: the object is done with.
    /// </summary>
    private bool FindOwners(ObjectAddress address, ref Reason reason, Level? stack, IReadOnlyCollection<ObjectAddress> pending, ref ObjectAddress? partition)
    {
        ObjectAddress? owner = null;
        foreach (PgDepend d in Search("classid", "objid", "objsubid", address))
        {
            var other = new ObjectAddress(d.RefClassId, d.RefObjId, d.RefObjSubId);
            if (other.Catalog == address.Catalog && other.Id == address.Id && address.Part == 0)
            {
                continue;
            }

            switch (d.DepType)
            {
                case DependencyKind.Internal:
                case DependencyKind.Extension:
                    if (stack is null)
                    {
                        if (pending.Contains(other))
                        {
                            return false;
                        }

                        owner = owner is null || d.DepType == DependencyKind.Extension ? other : owner;
                        break;
                    }

                    if (OnStack(other, Reason.None, stack))
                    {
                        break;
                    }

                    Find(other, Reason.Reverse, stack, pending);
                    Invariant.Check(IsTarget(address, reason), "dependency", "an owner's removal covers its parts");
                    return false;
                case DependencyKind.PartitionPrimary:
                    reason |= Reason.IsPart;
                    partition = other;
                    break;
                case DependencyKind.PartitionSecondary:
                    partition = (reason & Reason.IsPart) == 0 ? other : partition;
                    reason |= Reason.IsPart;
                    break;
            }
        }

        if (owner is { } required)
        {
            string name = describe(partition ?? required);
            throw new PgException(SqlStates.DependentObjectsStillExist, $"cannot drop {describe(address)} because {name} requires it")
            {
                Hint = $"You can drop {name} instead.",
            };
        }

        return true;
    }

    private List<(ObjectAddress, Reason)> DependentsOf(ObjectAddress address)
    {
        var found = new List<(ObjectAddress Address, Reason)>();
        foreach (PgDepend d in Search("refclassid", "refobjid", "refobjsubid", address))
        {
            var other = new ObjectAddress(d.ClassId, d.ObjId, d.ObjSubId);
            if (other.Catalog == address.Catalog && other.Id == address.Id && address.Part == 0)
            {
                continue;
            }

            found.Add((other, d.DepType switch
            {
                DependencyKind.Normal => Reason.Normal,
                DependencyKind.Auto or DependencyKind.AutoExtension => Reason.Auto,
                DependencyKind.Internal => Reason.Internal,
                DependencyKind.Extension => Reason.Extension,
                _ => Reason.Partition,
            }));
        }

        // Newest first, so that objects come in an order that does not depend on where their rows lie.
        found.Sort((a, b) =>
        {
            int c = b.Address.Id.CompareTo(a.Address.Id);
            c = c != 0 ? c : a.Address.Catalog.CompareTo(b.Address.Catalog);
            return c != 0 ? c : ((uint)a.Address.Part).CompareTo((uint)b.Address.Part);
        });
        return found;
    }

    private IEnumerable<PgDepend> Search(string catalog, string id, string part, ObjectAddress address)
    {
        Datum[] keys = address.Part == 0
            ? [Datum.FromOid(address.Catalog), Datum.FromOid(address.Id)]
            : [Datum.FromOid(address.Catalog), Datum.FromOid(address.Id), Datum.FromInt32(address.Part)];
        return view.Search(SystemCatalogs.Depend, SystemCatalogs.Depend.IndexOn(catalog, id, part), keys).Select(r => r.Row);
    }

    /// <summary>The object, or the whole of which it is a column, is being looked at further out.</summary>
    private static bool OnStack(ObjectAddress address, Reason reason, Level? stack)
    {
        bool result = false;
        for (Level? level = stack; level is not null; level = level.Outer)
        {
            if (level.Address.Catalog != address.Catalog || level.Address.Id != address.Id)
            {
                continue;
            }

            if (level.Address.Part == address.Part)
            {
                level.Reason |= reason;
                result = true;
            }
            else if (level.Address.Part == 0)
            {
                // The column goes with its table.
                result = true;
            }
            else if (address.Part == 0)
            {
                level.Reason |= reason != Reason.None ? reason | Reason.SubObject : Reason.None;
            }
        }

        return result;
    }

    private bool IsTarget(ObjectAddress address, Reason reason)
    {
        bool result = false;
        for (int i = _targets.Count - 1; i >= 0; i--)
        {
            Target t = _targets[i];
            if (t.Address.Catalog != address.Catalog || t.Address.Id != address.Id)
            {
                continue;
            }

            if (t.Address.Part == address.Part)
            {
                t.Reason |= reason;
                result = true;
            }
            else if (t.Address.Part == 0)
            {
                result = true;
            }
            else if (address.Part == 0 && reason != Reason.None)
            {
                t.Reason |= reason | Reason.SubObject;
            }
        }

        return result;
    }
}
