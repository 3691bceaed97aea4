"""Azure's credentials: an application that is registered with Entra ID, by its secret (client credentials). Sends nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from aisa.config.schema import AzureApp
from aisa.credentials.expiring import Token, TokenSource
from aisa.credentials.port import Question, Send
from aisa.credentials.tokens import ask_for_token

AUTHORITY_VARIABLE = "AZURE_AUTHORITY_HOST"
AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"


def azure_source(app: AzureApp, environment: Mapping[str, str], send: Send) -> TokenSource:
    """Return what fetches tokens for an application."""
    authority = (environment.get(AUTHORITY_VARIABLE, "").strip() or AUTHORITY).rstrip("/")
    authority = authority if "://" in authority else f"https://{authority}"
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.client_secret, "scope": SCOPE}
    question = Question(f"{authority}/{quote(app.tenant_id, safe='')}/oauth2/v2.0/token", form)

    async def source() -> Token:
        return await ask_for_token(send, question, "Entra ID")

    return source
