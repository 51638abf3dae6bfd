import { nodeSuite } from "../support/client/node_suite.ts";

nodeSuite("ws");
