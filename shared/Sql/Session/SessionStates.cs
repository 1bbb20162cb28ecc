using SharedStorage.Primitives;

namespace SharedStorage.Sql.Session;

/// <summary>The state that ReadyForQuery tells.</summary>
public enum TransactionBlockState
{
    Idle = 'I',
    InBlock = 'T',
    Failed = 'E',
}

/// <summary>The answer to Execute.</summary>
public enum ExecuteOutcome
{
    /// <summary>CommandComplete with <see cref="ExecuteResult.Tag"/>.</summary>
    Complete,

    /// <summary>The row limit was reached: PortalSuspended.</summary>
    Suspended,

    /// <summary>The statement was empty: EmptyQueryResponse.</summary>
    Empty,
}

public readonly record struct ExecuteResult(ExecuteOutcome Outcome, string? Tag);
