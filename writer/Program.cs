using SharedStorage.Hosting.Node;
using SharedStorage.Writer;

return NodeProgram.Run(args, environment => new WriterNode(environment));
