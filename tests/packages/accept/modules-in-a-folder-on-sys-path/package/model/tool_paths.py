import os
import site

site.addsitedir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
