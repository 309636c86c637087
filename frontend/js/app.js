// The entry of the learners' app: starts it with the module that index.html preloads.
import init from "drydock-app";
import { start } from "./start.js";

start(init);
