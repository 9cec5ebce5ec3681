"""producer/examples/shop.html in a real browser, from another origin than the gateway's."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest

from stack import wait_for
from support.browser import Browser, installed
from support.program import ROOT

pytestmark = pytest.mark.long

EXAMPLES = ROOT / "producer/examples"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def shop():
    """The origin that serves the page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=EXAMPLES)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(keeper, tmp_path_factory):
    if not installed():
        pytest.skip("chromium is not installed: apt-get install --no-install-recommends chromium")
    browser = Browser(tmp_path_factory.mktemp("chromium"), keeper.environment())
    yield browser
    browser.close()


@pytest.fixture
def topic(names, stack):
    stack.kafka.create_topic(names.topic, 3)
    return names.topic


def page(shop, gateway, **more):
    return f"{shop}/shop.html?{urlencode({'gateway': f'http://{gateway.address}'} | more)}"


def shown(browser):
    return browser.value("document.querySelector('output').value")


def wait_until_shown(browser, text):
    def there():
        assert text in shown(browser)
        return True

    wait_for(there, 30, f"{text!r} on the page")


def enter(browser, imp_uid):
    browser.click("input")
    browser.type(imp_uid)
    browser.press("Enter")


def keys(names):
    return [record.key.decode() for record in names.records()]


def test_a_page_of_an_allowed_origin_has_an_imp_uid_queued(browser, shop, gateway, names, topic):
    gateway = gateway(IMPCERT_CORS_ORIGINS=f"https://shop.example,{shop}").wait_until_ready()
    browser.open(page(shop, gateway))
    assert shown(browser) == ""
    enter(browser, "imp_448280090638")
    wait_until_shown(browser, "imp_448280090638 is queued")
    assert keys(names) == ["imp_448280090638"]


def test_the_button_is_reached_by_keyboard_and_by_mouse(browser, shop, gateway, names, topic):
    gateway = gateway(IMPCERT_CORS_ORIGINS=shop).wait_until_ready()
    browser.open(page(shop, gateway))
    browser.press("Tab")
    browser.type("imp_1")
    browser.press("Tab")
    browser.press("Enter")
    wait_until_shown(browser, "imp_1 is queued")
    browser.value("document.querySelector('input').value = 'imp_2'")
    wait_for(lambda: not browser.value("document.querySelector('button').disabled"), 30, "the button")
    browser.click("button")
    wait_until_shown(browser, "imp_2 is queued")
    assert sorted(keys(names)) == ["imp_1", "imp_2"]


def test_an_address_that_has_the_imp_uid_is_enough(browser, shop, gateway, names, topic):
    """So do phones come back from Iamport."""
    gateway = gateway(IMPCERT_CORS_ORIGINS=shop).wait_until_ready()
    browser.open(page(shop, gateway, imp_uid="imp_1", success="true"))
    wait_until_shown(browser, "imp_1 is queued")
    browser.open(page(shop, gateway, imp_uid="imp_2", success="false"))
    enter(browser, "imp_3")
    wait_until_shown(browser, "imp_3 is queued")
    assert sorted(keys(names)) == ["imp_1", "imp_3"]


def test_a_page_of_another_origin_is_kept_out_and_says_so(browser, shop, gateway, names, topic):
    gateway = gateway(IMPCERT_CORS_ORIGINS="https://shop.example").wait_until_ready()
    browser.open(page(shop, gateway))
    enter(browser, "imp_1")
    wait_until_shown(browser, "does not let this page post")
    assert keys(names) == []


def test_the_page_shows_what_is_wrong(browser, shop, gateway, names, topic):
    gateway = gateway(IMPCERT_CORS_ORIGINS=shop).wait_until_ready()
    browser.open(page(shop, gateway))
    enter(browser, "imp/1")
    wait_until_shown(browser, "Failed: imp_uid")
    assert keys(names) == []


def test_the_page_shows_that_kafka_is_away(browser, shop, gateway):
    away = gateway(IMPCERT_CORS_ORIGINS=shop, IMPCERT_KAFKA_BROKERS="127.0.0.1:1", IMPCERT_PUBLISH_TIMEOUT="1s")
    browser.open(page(shop, away, imp_uid="imp_1"))
    wait_until_shown(browser, "try again")
    assert "queued." not in shown(browser)
