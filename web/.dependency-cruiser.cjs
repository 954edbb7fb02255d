module.exports = { forbidden: [
 {name:'no-cycles',severity:'error',from:{},to:{circular:true}},
 {name:'features-apart',severity:'error',from:{path:'^src/features/([^/]+)/'},to:{path:'^src/features/',pathNot:'^src/features/$1/'}},
 {name:'shared-looks-down',severity:'error',from:{path:'^src/(components|lib|api|test)/'},to:{path:'^src/(features|app)/'}},
 {name:'features-not-app',severity:'error',from:{path:'^src/features/'},to:{path:'^src/app/'}},
 {name:'lib-not-components',severity:'error',from:{path:'^src/(lib|api)/'},to:{path:'^src/components/'}},
], options:{ tsPreCompilationDeps:true, doNotFollow:{path:'node_modules'}, tsConfig:{fileName:'tsconfig.json'} } };
