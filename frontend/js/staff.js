// The entry of the staff's app: starts it with the module that staff.html preloads.
import init from "drydock-staff";
import { start } from "./start.js";

start(init);
