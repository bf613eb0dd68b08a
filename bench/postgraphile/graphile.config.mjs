// As PostGraphile is served in production: no page to try it, nothing watched.

import { availableParallelism } from "node:os";

import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { pgSmartTags } from "postgraphile/utils";

// As many connections of each worker as usual, but on a large machine no more than PostgreSQL takes.
const max = Math.min(10, Math.ceil(64 / availableParallelism()));

export default {
  extends: [PostGraphileAmberPreset],
  // Tandem's own tables are not part of the API.
  plugins: [
    pgSmartTags({ kind: "class", match: ({ relname }) => relname.startsWith("tandem_"), tags: { behavior: ["-*"] } }),
  ],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ["public"],
      pubsub: false,
      poolConfig: { max },
    }),
  ],
  grafserv: { graphiql: false, watch: false },
  grafast: { explain: false },
};
