from kelbo.report import words
from kelbo.report.words import prose, with_breaks


def test_numbers():
    assert words.nats(-103.414) == "−103.41"
    assert words.nats(12345.678) == "12,345.68"
    assert words.number(0.004898) == "0.0049"
    assert words.number(1.0) == "1"
    assert words.number(-25000) == "−25,000"
    assert [words.signed(value) for value in (-2.5, 0.0, 3.0)] == ["−2.5", "0", "+3"]


def test_text_is_as_it_would_be_typed():
    assert words.text(True) == "true"
    assert words.text([1, 0.001, False]) == "1, 0.001, false"


def test_a_path_breaks_behind_its_separators_and_not_inside_a_word():
    assert (
        with_breaks("/home/ada/my_faces.npz") == "/<wbr>home/<wbr>ada/<wbr>my_<wbr>faces.<wbr>npz"
    )
    assert with_breaks("2026-11-30") == "2026-11-30"
    assert with_breaks("3.15.0") == "3.15.0"
    assert with_breaks("<b>/<i>") == "&lt;b&gt;/&lt;i&gt;"


def test_a_sentence_has_a_true_minus_and_whole_options():
    assert prose("-2.5 nats < log-odds, --latent-dim 2") == (
        '−2.5 nats &lt; log-odds, <span class="option">--latent-dim</span> 2'
    )
