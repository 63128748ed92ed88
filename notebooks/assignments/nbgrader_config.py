"""Settings of a course that uses nbgrader; docs/teaching.md says where this file goes."""

c = get_config()  # noqa: F821  a name that nbgrader gives

c.CourseDirectory.course_id = "lstm"
c.CourseDirectory.ignore.extend(["hidden.py", "rubric.md", "wrong", "cheats"])  # if a whole folder was copied

# In seconds: a cell that takes longer is stopped, and the next one runs. Training in A6 takes a while.
c.ExecutePreprocessor.timeout = 120
c.ExecutePreprocessor.startup_timeout = 120
c.ExecutePreprocessor.iopub_timeout = 60  # for what a cell has printed; a busy computer may need more than the usual 4

# Pictures earn no points, and take most of the time.
c.ExecutePreprocessor.skip_cells_with_tag = "picture"

# Feedback shows the lines of the cells with points, unless they are taken out.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
