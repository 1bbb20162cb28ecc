using System.Runtime.CompilerServices;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Btree;

/// <summary>
/// What is made once for an index of the catalogs and used by all threads: its schema, the remembered root, the inserting side. <see cref="BtreeIndex"/> is a
/// light handle on it, so that one may be made for each operation.
/// </summary>
internal sealed class BtreeCore
{
    private static readonly ConditionalWeakTable<IndexInfo, BtreeCore> Cores = [];

    private BtreeCore(StorageEngine engine, IndexInfo index)
    {
        Engine = engine;
        Schema = new BtreeSchema(index);
        Descent = new BtreeDescent(new PoolBtreePages(engine.Buffers, index.Relation.Node, index.Relation.Name), Schema);
        Writer = new BtreeWriter(engine, Schema, Descent);
        Inserter = new BtreeInserter(Writer);
    }

    public StorageEngine Engine { get; }
    public BtreeSchema Schema { get; }
    public BtreeDescent Descent { get; }
    public BtreeWriter Writer { get; }
    public BtreeInserter Inserter { get; }

    public static BtreeCore Of(StorageEngine engine, IndexInfo index)
    {
        if (Cores.TryGetValue(index, out BtreeCore? core) && ReferenceEquals(core.Engine, engine))
        {
            return core;
        }

        core = new BtreeCore(engine, index);
        Cores.AddOrUpdate(index, core);
        return core;
    }
}
