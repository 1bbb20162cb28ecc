using SharedStorage.Hosting.Node;
using SharedStorage.Reader;

return NodeProgram.Run(args, environment => new ReaderNode(environment));
