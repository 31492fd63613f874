"""The HTML pages, in English and Chinese.

=============  ===========================================================
`routes`       the pages and their error page
`login`        the page that exchanges an API key for a session
`context`      values that each template gets; language and theme
`results`      API results prepared for the templates
`texts`        `Texts`, the translations in `faceall/web/texts`
=============  ===========================================================
"""
