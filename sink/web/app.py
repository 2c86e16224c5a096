"""The application that answers at the sink's port."""

from fastapi import Depends, FastAPI

from sink.web import health
from sink.web.access.install import install_access
from sink.web.api.document import ApiApp
from sink.web.api.strict import only_known_parameters
from sink.web.body import WholeBody
from sink.web.faults import add_faults
from sink.web.page import routes as page
from sink.web.page.clear import UPLOAD
from sink.web.page.failing import failing_page
from sink.web.web import Web


def create_app(web: Web) -> FastAPI:
    """Return the application: health and metrics, the API, the pages."""
    app = ApiApp()
    app.state.web = web
    app.include_router(health.router)
    app.include_router(page.LISTS, include_in_schema=False)
    for router in page.ROUTERS:
        app.include_router(router, include_in_schema=False, dependencies=[Depends(only_known_parameters)])
    add_faults(app, failing_page)
    app.add_middleware(WholeBody, streamed=frozenset({UPLOAD}))
    install_access(app, web, failing_page)
    return app
