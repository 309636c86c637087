// The terminal emulator and its add-ons: one bundle, loaded when the first terminal opens.
export { Terminal } from "@xterm/xterm";
export { FitAddon } from "@xterm/addon-fit";
export { addLinks } from "./links.js";
export { Unicode11Addon } from "@xterm/addon-unicode11";
