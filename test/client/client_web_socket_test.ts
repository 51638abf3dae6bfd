import { clientSuite } from "../support/client/client_suite.ts";

clientSuite("ws");
