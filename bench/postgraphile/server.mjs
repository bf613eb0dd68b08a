// PostGraphile with a worker for each processor. Prints where it listens once all of them do, and ends when one of them ends.

import cluster from "node:cluster";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";

if (cluster.isPrimary) {
  const workers = availableParallelism();
  let listening = 0;
  cluster.on("listening", (_, { address, port }) => {
    listening += 1;
    if (listening === workers) console.log(`${address}:${port}`);
  });
  cluster.on("exit", () => process.exit(1));
  for (let worker = 0; worker < workers; worker += 1) cluster.fork();
} else {
  process.on("uncaughtException", (error) => {
    console.error("ERROR", error);
    process.exit(1);
  });
  const { postgraphile } = await import("postgraphile");
  const { grafserv } = await import("postgraphile/grafserv/node");
  const { default: preset } = await import("./graphile.config.mjs");
  const instance = postgraphile(preset);
  // It would listen before it has read the tables.
  await instance.getSchema();
  const server = createServer();
  await instance.createServ(grafserv).addTo(server);
  // Workers that ask for any port get the same one.
  server.listen(0, "127.0.0.1");
}
