// Starts an app with the module that its page preloads.
export function start(init) {
  init({ module_or_path: document.querySelector("link[data-app]").href }).catch((error) => {
    console.error(error);
    const text = document.createElement("p");
    text.className = "p-10 text-center";
    text.textContent = "Drydock could not start in this browser. A current Chrome, Edge, Firefox or Safari is needed.";
    document.body.replaceChildren(text);
  });
}
