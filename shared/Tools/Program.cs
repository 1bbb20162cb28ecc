using System.CommandLine;
using SharedStorage.Tools;

if (args is [WaldumpCommand.Name, ..])
{
    // Its arguments are pg_waldump's to the letter.
    return WaldumpCommand.Run(args[1..]);
}

var root = new RootCommand("Tools for SharedStorage: PostgreSQL 15 data directories on shared storage");
root.Subcommands.Add(WaldumpCommand.Create());
root.Subcommands.Add(ControldataCommand.Create());
root.Subcommands.Add(WalcheckCommand.Create());
root.Subcommands.Add(PageInspectCommand.Create());
root.Subcommands.Add(ReplayCommand.Create());
root.Subcommands.Add(StatusCommand.Create());
root.Subcommands.Add(PromoteCommand.Create());
root.Subcommands.Add(FencedCommand.Create());
root.Subcommands.Add(FaultpointsCommand.Create());
return root.Parse(args).Invoke();
