namespace SharedStorage.Tools;

/// <summary>What ends a command with status 1 and this message on standard error.</summary>
internal sealed class ToolException(string message) : Exception(message)
{
    /// <summary>A second line that says what was expected.</summary>
    public string? Detail { get; init; }

    /// <summary>The arguments are wrong: the command also says where to find help.</summary>
    public bool IsUsage { get; init; }
}
