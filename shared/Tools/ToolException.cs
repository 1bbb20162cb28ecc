namespace SharedStorage.Tools;

/// <summary>What ends a command with status 1 and this message on standard error.</summary>
internal sealed class ToolException(string message) : Exception(message);
