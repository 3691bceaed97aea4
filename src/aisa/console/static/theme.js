// Before the page is painted: the colours that were chosen last on this machine.
"use strict";
document.documentElement.classList.add("js");
{
  const chosen = localStorage.getItem("aisa-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
