"""The relay that everybody writes first: FastAPI in front, httpx behind. No keys, no limits, no accounts; for comparison only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

# httpx stops at 100 connections unless told otherwise; then a thousand streams could not even be opened.
client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))
app = FastAPI()
URL = os.environ.get("UPSTREAM_URL", "http://127.0.0.1:9/v1") + "/chat/completions"


async def lines(body: dict[str, Any]) -> AsyncIterator[str]:
    """Yield the vendor's events one by one."""
    async with client.stream("POST", URL, json=body) as response:
        async for line in response.aiter_lines():
            if line:
                yield f"{line}\n\n"


@app.post("/v1/chat/completions")
async def chat(request: Request) -> Response:
    """Relay one call."""
    body = await request.json()
    if body.get("stream"):
        return StreamingResponse(lines(body), media_type="text/event-stream")
    response = await client.post(URL, json=body)
    return JSONResponse(response.json(), status_code=response.status_code)
