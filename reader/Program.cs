using SharedStorage.Hosting.Node;
using SharedStorage.Reader;
using SharedStorage.Reader.Attach;

return NodeProgram.Run(args, environment => environment.Settings.Bool("sharedstorage.attach") ? new AttachedNode(environment) : new ReaderNode(environment));
