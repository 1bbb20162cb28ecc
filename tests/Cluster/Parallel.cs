// Two cores, leases of seconds and several processes a test: tests beside each other would only wait for one another.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
