from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser

import pytest

from consent_middleware.records.dashboard import render_dashboard
from consent_middleware.records.statistics import Periods, Rates, Refused, State, Statistics, Step, group_days

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}</style>"
VOID = {"meta", "link", "br", "img"}
EMPTY = Statistics("", "", 0, (), (), (), (), (), 0, 0, (), 0, 0, 0)
SMALL = Statistics(
    since="2026-11-20T08:00:00Z",
    until="2026-11-22T21:30:00Z",
    total=12_346,
    days=(Rates("2026-11-20", 12_000, 40, 200, 6), Rates("2026-11-22", 50, 20, 30)),
    languages=(Rates("de", 7, 2, 1), Rates("", 0, 1, 2)),
    regions=(Rates("US-CA", 1, 0, 3),),
    regimes=(Rates("opt-in", 5, 0, 0, 5),),
    methods=(Rates("banner.accept_all", 9), Rates("signal:gpc", 0, 0, 4), Rates("brand-new", 1)),
    gpc=25,
    dnt=-1,
    refused=(Refused("meta-pixel", 80, 60), Refused("youtube", 1_000, 1)),
    sampled=1_000,
    erased=1,
    restricted=2_000,
)


class Page(HTMLParser):
    """A rendered page, read as a browser would.

    Args:
        markup: The page.
    """

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._text: list[str] = []
        self.feed(markup)
        assert self._open == [], "every tag is closed"
        self.text = " ".join("".join(self._text).replace("\u202f", " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and begin a table, a row or a cell."""
        self.tags.append((tag, dict(attrs)))
        self._text.append(" ")
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables[dict(attrs).get("aria-label") or "over time"] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self._open.pop() == tag
        self._text.append(" ")

    def handle_data(self, data: str) -> None:
        """Take text into its cell and into the page's."""
        if "style" in self._open:
            return
        self._text.append(data)
        if {"td", "th"} & set(self._open):
            self._rows[-1][-1] += data.replace("\u202f", " ").strip("\n")

    def count(self, tag: str) -> int:
        """Return how many there are of a tag."""
        return sum(name == tag for name, _ in self.tags)


def read(statistics: Statistics, site_name: str = "Example Shop", **names: str) -> Page:
    """Return the page of these statistics; ids are written with underscores for hyphens."""
    named = {id_.replace("_", "-"): name for id_, name in names.items()}
    return Page(render_dashboard(site_name, statistics, names=named))


def with_days(*days: Rates) -> Statistics:
    """Return statistics of these days alone."""
    total = sum(day.total for day in days)
    return replace(EMPTY, since=days[0].label, until=days[-1].label, total=total, days=days)


def span(days: int) -> tuple[Rates, ...]:
    """Return the first and the last of so many days, a Wednesday first."""
    first = date(2026, 1, 7)
    last = first + timedelta(days=days - 1)
    return Rates(first.isoformat(), given=1), Rates(last.isoformat(), refused=2)


# -- figures


@pytest.mark.parametrize(
    ("state", "share"), [("given", 0.1), ("custom", 0.2), ("refused", 0.3), ("withdrawn", 0.4)]
)
def test_a_share_is_of_all_answers(state: str, share: float) -> None:
    """Each of the four answers counts into the total."""
    rates = Rates("de", 1, 2, 3, 4)
    assert (rates.total, rates.share(state)) == (10, share)


def test_a_share_of_nothing_is_none() -> None:
    """Where nobody answered, nothing is divided by zero."""
    assert Rates("de").share("given") == 0.0


def test_an_unknown_state_is_refused() -> None:
    """A mistyped state is not taken for zero."""
    with pytest.raises(ValueError, match="granted"):
        Rates("de", 1).share("granted")


def test_days_are_summed_up() -> None:
    """The key figures are those of all days together."""
    assert SMALL.overall == Rates("", 12_050, 60, 230, 6)


# -- periods


@pytest.mark.parametrize(
    ("days", "step", "bars"),
    [(92, Step.DAY, 92), (93, Step.WEEK, 14), (732, Step.WEEK, 105), (733, Step.MONTH, 25)],
)
def test_longer_times_have_longer_periods(days: int, step: Step, bars: int) -> None:
    """Three months are shown by day, two years by week, more by month; no answer is lost."""
    found = group_days(span(days))
    assert (found.step, len(found.rates)) == (step, bars)
    assert sum(rates.given for rates in found.rates) == 1
    assert found.rates[-1].refused == 2


def test_days_without_answers_are_filled_in() -> None:
    """A day that is missing is an empty one, not a shorter time."""
    found = group_days(SMALL.days)
    assert [(rates.label, rates.total) for rates in found.rates] == [
        ("2026-11-20", 12_246),
        ("2026-11-21", 0),
        ("2026-11-22", 100),
    ]


def test_a_week_begins_on_monday() -> None:
    """Sunday ends a week and Monday begins the next."""
    days = (Rates("2026-01-04", 1), Rates("2026-01-05", 2), Rates("2026-01-11", 4), Rates("2026-06-01", 8))
    found = group_days(days).rates
    assert [(rates.label, rates.given) for rates in found[:2]] == [("2025-12-29", 1), ("2026-01-05", 6)]


def test_a_month_holds_all_its_days() -> None:
    """First and last day of a month stand together, and the year's end makes no hole."""
    days = (Rates("2024-12-01", 1), Rates("2024-12-31", 2), Rates("2025-01-31", 4), Rates("2027-01-01", 8))
    found = group_days(days).rates
    assert [(rates.label, rates.given) for rates in found[:2]] == [("2024-12-01", 3), ("2025-01-01", 4)]
    assert (len(found), found[-1]) == (26, Rates("2027-01-01", 8))


def test_the_calendars_end_is_no_error() -> None:
    """The last day there is has no next one, and needs none."""
    last = Rates("9999-12-31", 1)
    assert group_days((last,)) == Periods(Step.DAY, (last,))
    assert group_days((Rates("9997-01-01", 1), last)).rates[-1] == Rates("9999-12-01", 1)


@pytest.mark.parametrize("days", [(), (Rates("", 1), Rates(HOSTILE, 1), Rates("2026-13-01", 1))])
def test_what_is_no_day_is_not_drawn(days: tuple[Rates, ...]) -> None:
    """Without a readable day there is no period."""
    assert group_days(days) == Periods(Step.DAY, ())


# -- the page


def test_the_heading_says_whose_and_when() -> None:
    """Site name and period stand first; the time of day is left out."""
    page = read(SMALL)
    assert "Example Shop Consent records 20 Nov 2026 to 22 Nov 2026" in page.text
    assert ("time", {"datetime": "2026-11-20T08:00:00Z"}) in page.tags


def test_one_day_is_named_once() -> None:
    """A period of one day is no period."""
    page = read(with_days(Rates("2026-11-22", 1)))
    assert "Consent records 22 Nov 2026 Answers 1 " in page.text


def test_key_figures() -> None:
    """Answers, and the share and number of each kind; a tiny share does not read as none."""
    figures = (
        "Answers 12 346 Accepted all 97.6% 12 050 Own choice 0.5% 60 Rejected 1.9% 230 Withdrawn <0.1% 6 "
    )
    assert figures in read(SMALL).text


@pytest.mark.parametrize(
    ("rates", "shown"),
    [
        (Rates("2026-11-22", 1), "100% 1 Own choice 0% 0"),
        (Rates("2026-11-22", 9_999, 1), ">99.9% 9 999 Own choice <0.1% 1"),
        (Rates("2026-11-22", 999, 1), "99.9% 999 Own choice 0.1% 1"),
        (Rates("2026-11-22", 1, 2), "33.3% 1 Own choice 66.7% 2"),
    ],
)
def test_only_all_reads_as_all(rates: Rates, shown: str) -> None:
    """Rounding turns no share into all or none."""
    assert f"Accepted all {shown}" in read(with_days(rates)).text


def test_each_group_has_its_row() -> None:
    """Tables hold the figures they were given, in their order, with words for what has some."""
    tables = read(SMALL).tables
    head = ["", "Answers", "Accepted all", "Own choice", "Rejected", "Withdrawn"]
    assert tables["By language"] == [
        ["Language", *head],
        ["de", "", "10", "70.0% 7", "20.0% 2", "10.0% 1", "0% 0"],
        ["Not known", "", "3", "0% 0", "33.3% 1", "66.7% 2", "0% 0"],
    ]
    assert tables["By region"][1:] == [["US-CA", "", "4", "25.0% 1", "0% 0", "75.0% 3", "0% 0"]]
    assert tables["By regime"][1:] == [["Opt-in", "", "10", "50.0% 5", "0% 0", "0% 0", "50.0% 5"]]
    assert [row[0] for row in tables["By way of answering"][1:]] == [
        "Accept all, on the banner",
        "Global Privacy Control",
        "brand-new",
    ]


def test_a_group_without_answers_has_an_empty_row() -> None:
    """Nothing is divided by zero, and no bar is drawn."""
    page = read(replace(SMALL, languages=(Rates("de"),)))
    assert page.tables["By language"][1:] == [["de", "", "0", "0% 0", "0% 0", "0% 0", "0% 0"]]


def test_a_table_without_groups_is_left_out() -> None:
    """No heading stands over nothing."""
    page = read(replace(SMALL, regions=(), refused=()))
    assert "By region" not in page.tables
    assert "Most refused" not in page.text


def test_long_tables_are_folded() -> None:
    """Eight rows show; the others are there, once, behind a line that counts them."""
    page = read(replace(SMALL, languages=tuple(Rates(f"l{number}", number) for number in range(11))))
    assert [row[0] for row in page.tables["By language"][1:]] == [f"l{number}" for number in range(8)]
    assert [row[0] for row in page.tables["By language, continued"][1:]] == ["l8", "l9", "l10"]
    assert "3 more" in page.text


def test_eight_rows_are_not_folded() -> None:
    """No line says that nothing more is there."""
    page = read(replace(SMALL, languages=tuple(Rates(f"l{number}", 1) for number in range(8))))
    assert "more" not in page.text


def test_refused_services_have_names() -> None:
    """A service shows its name and its id; without a name, the id alone."""
    page = read(SMALL, meta_pixel="Meta Pixel")
    assert page.tables["Most refused"][1:] == [
        ["Meta Pixel meta-pixel", "", "80", "75.0% 60"],
        ["youtube", "", "1 000", "0.1% 1"],
    ]
    assert "Of the latest 1 000 answers." in page.text


def test_many_refused_services_are_folded() -> None:
    """The ninth service stands behind a line."""
    page = read(replace(SMALL, refused=tuple(Refused(f"s{number}", 5, 1) for number in range(9))))
    assert [row[0] for row in page.tables["Most refused, continued"][1:]] == ["s8"]


def test_signals() -> None:
    """A signal's share is of the sample; one that nobody knows does not read as none."""
    assert "Global Privacy Control 2.5% 25 Do Not Track Not known" in read(SMALL).text
    assert "Do Not Track 0% 0 " in read(replace(SMALL, dnt=0)).text


@pytest.mark.parametrize(
    ("restricted", "erased", "said"),
    [
        (1, 0, "Not counted here: 1 restricted record. "),
        (0, 1, "Not counted here: 1 erased record. "),
        (2, 3_000, "Not counted here: 2 restricted records and 3 000 erased records. "),
        (0, 0, "Nothing is left out: no record is restricted or erased. "),
    ],
)
def test_what_is_left_out_is_said(restricted: int, erased: int, said: str) -> None:
    """The reader learns which records the figures do not hold."""
    assert said in read(replace(SMALL, restricted=restricted, erased=erased)).text


def test_without_records() -> None:
    """An empty store gets kind words, no table and no drawing of figures."""
    page = read(EMPTY)
    assert page.text.endswith(
        "Consent records No answers yet As soon as a visitor makes a choice, it is counted here."
    )
    assert page.tables == {}


def test_without_records_that_count() -> None:
    """What is left out is said on the empty page, too."""
    assert read(replace(EMPTY, restricted=3)).text.endswith("Not counted here: 3 restricted records.")


# -- the drawing


def bars(page: Page) -> list[tuple[str, float]]:
    """Return pattern and height, in percent of the drawing, of each piece over time."""
    pieces = [attrs for tag, attrs in page.tags if tag == "rect" and "y" in attrs and "fill" in attrs]
    return [(str(piece["fill"]), float(str(piece["height"]).rstrip("%"))) for piece in pieces]


def test_bars_are_as_high_as_their_figures() -> None:
    """The axis ends at 15 000; what nobody answered is not drawn."""
    assert bars(read(SMALL)) == [
        ("url(#given)", 80.0),
        ("url(#custom)", 0.267),
        ("url(#refused)", 1.333),
        ("url(#withdrawn)", 0.04),
        ("url(#given)", 0.333),
        ("url(#custom)", 0.133),
        ("url(#refused)", 0.2),
    ]


def pieces(page: Page, start: str, size: str) -> list[tuple[str, str]]:
    """Return where each piece that has both begins, and how long it is."""
    drawn = [attrs for tag, attrs in page.tags if tag == "rect" and start in attrs and "fill" in attrs]
    return [(str(attrs[start]), str(attrs[size])) for attrs in drawn]


def test_pieces_stand_on_each_other() -> None:
    """Over time a bar grows from the ground up, in the order of the legend."""
    page = read(with_days(Rates("2026-11-22", 5, 3, 0, 2)))
    assert pieces(page, "y", "height") == [("50%", "50%"), ("20%", "30%"), ("0%", "20%")]


def test_pieces_stand_beside_each_other() -> None:
    """In a table a bar is as long as its cell, whatever the number of answers."""
    page = read(replace(EMPTY, total=4, languages=(Rates("de", 1, 0, 1, 2),)))
    assert pieces(page, "x", "width") == [("0%", "25%"), ("25%", "25%"), ("50%", "50%")]


def test_every_pattern_is_defined() -> None:
    """Each state has a pattern of its own, so that colour alone tells nothing."""
    page = read(SMALL)
    assert {attrs["id"] for tag, attrs in page.tags if tag == "pattern"} == set(State)


@pytest.mark.parametrize(
    ("most", "axis"),
    [
        (1, ["0", "1"]),
        (5, ["0", "1", "2", "3", "4", "5"]),
        (6, ["0", "2", "4", "6"]),
        (20_100, ["0", "5 000", "10 000", "15 000", "20 000", "25 000"]),
    ],
)
def test_the_axis_has_round_numbers(most: int, axis: list[str]) -> None:
    """It ends at or above the highest bar."""
    markup = render_dashboard("Shop", with_days(Rates("2026-11-22", most)))
    found = re.findall(r'text-anchor="end">([\d\u202f]+)</text>', markup)
    assert [tick.replace("\u202f", " ") for tick in found] == axis


def test_days_that_are_all_empty_are_drawn() -> None:
    """An axis without any answer still has a height."""
    markup = render_dashboard("Shop", replace(with_days(Rates("2026-11-22")), total=1))
    assert 'text-anchor="end">1</text>' in markup


def test_the_drawing_is_also_a_table() -> None:
    """The same figures stand in words, days without answers left out."""
    assert read(SMALL).tables["over time"] == [
        ["Day", "Answers", "Accepted all", "Own choice", "Rejected", "Withdrawn"],
        ["20 Nov 2026", "12 246", "12 000", "40", "200", "6"],
        ["22 Nov 2026", "100", "50", "20", "30", "0"],
    ]


@pytest.mark.parametrize(
    ("days", "head", "first"), [(93, "Week from", "5 Jan 2026"), (733, "Month", "Jan 2026")]
)
def test_longer_periods_are_named(days: int, head: str, first: str) -> None:
    """The table says for how long a row stands."""
    table = read(with_days(*span(days))).tables["over time"]
    assert (table[0][0], table[1][0], len(table)) == (head, first, 3)


def test_the_drawing_says_what_it_is() -> None:
    """It has a title and a description, and each bar its figures."""
    page = read(SMALL)
    assert (
        "Choices by day 3 bars, from 20 Nov 2026 to 22 Nov 2026. Most answers: 12 246, 20 Nov 2026."
        in page.text
    )
    assert "22 Nov 2026: 100 answers, accepted all 50, own choice 20, rejected 30" in page.text


@pytest.mark.parametrize(("days", "labels"), [(1, 1), (7, 7), (8, 4), (92, 7)])
def test_dates_do_not_crowd(days: int, labels: int) -> None:
    """At most seven dates stand below the bars."""
    page = read(with_days(*span(days)))
    assert sum("date" in str(attrs.get("class")) for tag, attrs in page.tags if tag == "text") == labels


def test_without_a_readable_day_nothing_is_drawn() -> None:
    """The other figures still stand."""
    page = read(replace(SMALL, days=(Rates("yesterday", 4),)))
    assert "Choices over time" not in page.text
    assert "By language" in page.tables


# -- safety


def hostile() -> Page:
    """Return a page whose every text is hostile."""
    groups = (Rates(HOSTILE, 1, 1, 1, 1),)
    found = replace(
        SMALL,
        since=HOSTILE,
        until=HOSTILE + "?",
        days=(*SMALL.days, *groups),
        languages=groups,
        regions=groups,
        regimes=groups,
        methods=groups,
        refused=(Refused(HOSTILE, 2, 1), Refused("plain", 2, 1)),
    )
    return Page(render_dashboard(HOSTILE, found, names={"plain": HOSTILE}))


def test_texts_stay_texts() -> None:
    """Labels, names and dates are shown as they are, and begin no tag."""
    page = hostile()
    assert (page.count("script"), page.count("img"), page.count("style")) == (0, 0, 1)
    assert page.tables["By language"][1][0] == HOSTILE
    assert page.tables["Most refused"][2][0] == f"{HOSTILE} plain"
    assert f"Consent records - {HOSTILE}" in page.text


@pytest.mark.parametrize("page", [hostile(), read(SMALL), read(EMPTY)], ids=["hostile", "small", "empty"])
def test_nothing_is_loaded_or_run(page: Page) -> None:
    """No attribute of the page names a resource, a target or a handler."""
    names = {name for _, attrs in page.tags for name in attrs}
    assert {name for name in names if name.startswith("on")} == set()
    assert names & {"src", "href", "srcset", "action", "xlink:href", "poster", "data"} == set()


def test_the_style_loads_nothing() -> None:
    """The style sheet stands in the page, whole, and refers to nothing outside."""
    style = render_dashboard("Shop", EMPTY).partition("<style>")[2].partition("</style>")[0]
    assert style.count("{") == style.count("}") > 50
    assert re.findall(r"url\(|@import|@font-face|expression", style) == []
