"""The routes for machines that watch: /metrics, /livez and /readyz."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder

from sink.web.web import WebDep

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def metrics(request: Request, web: WebDep) -> Response:
    """The metrics, in the form that the scraper asks for."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(web.registry), media_type=None, headers={"content-type": content_type})


@router.get("/livez")
def livez(web: WebDep) -> JSONResponse:
    """Whether every loop goes round; 503 tells to start the sink anew."""
    stuck = web.pulse.stuck()
    return JSONResponse({"alive": not stuck, "stuck": stuck}, status_code=503 if stuck else 200)


@router.get("/readyz")
def readyz(web: WebDep) -> JSONResponse:
    """Whether the sink can work; 503 with what keeps it from working."""
    obstacles = dict(web.pulse.obstacles)
    said = {"ready": not obstacles, "obstacles": obstacles, "notices": dict(web.pulse.notices)}
    return JSONResponse(said, status_code=503 if obstacles else 200)
