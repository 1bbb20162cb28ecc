using System.CommandLine;
using SharedStorage.Tools;

var root = new RootCommand("Tools for SharedStorage: PostgreSQL 15 data directories on shared storage");
root.Subcommands.Add(WaldumpCommand.Create());
root.Subcommands.Add(ControldataCommand.Create());
root.Subcommands.Add(WalcheckCommand.Create());
root.Subcommands.Add(ReplayCommand.Create());
root.Subcommands.Add(StatusCommand.Create());
root.Subcommands.Add(PromoteCommand.Create());
return root.Parse(args).Invoke();
